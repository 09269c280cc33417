import { Copy } from "../../parts/Shown";

type Props = { search: Record<string, string>; show: (next: Record<string, string | undefined>) => void };

/** Within single quotes of a shell, where it is no plain word. */
const quoted = (text: string) => (/^[\w.:@/+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

const FIELDS = [
  { name: "from", label: "From frame", hint: "1" },
  { name: "to", label: "To frame", hint: "the last" },
  { name: "job", label: "Job", hint: "its id" },
  { name: "module", label: "Module", hint: "any" },
];

/** What is done with a log is done where the log is: the console writes the commands, and runs none. */
export function Commands({ search, show }: Props) {
  const flag = (name: string) => (search[name] ? ` --${name} ${quoted(search[name])}` : "");
  const chosen = ["from", "to", "job", "module"].map(flag).join("");
  const commands: [says: string, command: string][] = [
    ["Read all of the log, archive and stream, and check hashes, numbers and chain", `noxctl log verify${flag("from")}`],
    ["Decide again what was decided, and compare every fact with the log", "noxctl replay verify"],
    ["What would have become of the recorded jobs with another configuration", "noxctl replay what-if --patch other.json"],
    ["Print a stretch of the log again", `noxctl events replay${chosen} --output jsonl`],
    ["The same, at a hundred times the speed, on subjects of its own", `noxctl events replay${chosen} --speed 100 --to-subject shadow`],
    ["Fold it into a schema of its own beside the rows", `noxctl events replay${chosen} --to-schema nox_shadow`],
    ["How far the rows are behind the log", "noxctl projection lag"],
    ["Make all rows anew from the log and compare them, without changing over", "noxctl projection rebuild --dry-run"],
    ["Pack one job's case into a file, to be looked at without a server", `noxctl capsule export ${search.job ? quoted(search.job) : "JOB"}`],
    ["Prove that the audit's files are whole", "noxctl audit verify"],
    ["Prove what the log says that users used", "noxctl ledger verify"],
  ];
  return (
    <section>
      <p className="dim">These read the log itself, so they run where broker and archive are within reach; none of them changes what is decided.</p>
      <div className="row filters">
        {FIELDS.map(({ name, label, hint }) => (
          <label key={name}>
            <span className="dim">{label}</span>
            <input value={search[name] ?? ""} placeholder={hint} onChange={(event) => show({ [name]: event.currentTarget.value.trim() || undefined })} spellCheck={false} />
          </label>
        ))}
      </div>
      <table className="plain">
        <tbody>
          {commands.map(([says, command]) => (
            <tr key={says}>
              <td>{says}</td>
              <td>
                <code className="mono theirs">{command}</code>
              </td>
              <td>
                <Copy text={command} what="it" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
