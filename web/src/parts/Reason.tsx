import { useId } from "react";

/** As the API has it. */
const LETTERS_MAX = 500;

/** Said with one click; whatever else is typed. */
const OFTEN = ["not needed any more", "wrong inputs", "maintenance", "test"];

type Props = { reason: string; set: (reason: string) => void; required?: boolean | undefined };

/** Why somebody does what follows. It stands in the audit, beside who and when. */
export function Reason({ reason, set, required }: Props) {
  const id = useId();
  return (
    <div className="reason">
      <label htmlFor={id}>
        Reason {required ? <span className="dim">(required, kept in the audit)</span> : <span className="dim">(kept in the audit)</span>}
      </label>
      <input id={id} className="search" value={reason} maxLength={LETTERS_MAX} required={required} onChange={(event) => set(event.currentTarget.value)} autoComplete="off" />
      <div className="row">
        {OFTEN.map((each) => (
          <button key={each} type="button" className="facet" onClick={() => set(each)}>
            {each}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Whether what asks for a reason may go on. */
export const given = (reason: string, required: boolean | undefined) => !required || reason.trim() !== "";
