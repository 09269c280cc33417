import { Checkbox, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useRef, useState } from "react";
import { Exact, parse, stringify } from "../../api/exact";
import type { FieldError } from "../../api/schema";
import { isReference, uploaded } from "../../api/upload";
import { MoleculeField } from "./MoleculeField";
import { at, kindOf, token, type Schema } from "./schema";

type FieldProps = {
  schema: Schema;
  path: string[];
  inputs: unknown;
  /** Undefined takes the member out, so that the module's default counts. */
  set: (path: string[], value: unknown) => void;
  errors: FieldError[];
  required?: boolean;
};

const pointer = (path: string[]) => ["/inputs", ...path.map(token)].join("/");

/** What the server said of this very place, with the line where it named one. */
const faultsOf = (errors: FieldError[], path: string[]) => errors.filter((each) => each.pointer === pointer(path));

export const said = (faults: FieldError[]) =>
  faults.map(({ line, column, detail }) => (line ? `line ${line}${column ? `, column ${column}` : ""}: ${detail}` : detail)).join("; ") || undefined;

/** A member of the inputs, by its schema. */
export function Field(props: FieldProps) {
  const { schema, path, inputs, errors, required } = props;
  const value = at(inputs, path);
  // An uploaded text is not here to be shown. It is kept until another stands in its place, and comes back when that is emptied.
  const first = useRef(value).current;
  const kept = isReference(first) ? first : null;
  const set: FieldProps["set"] = (to, next) => props.set(to, kept && (next === undefined || next === "") ? kept : next);
  const note = kept && isReference(value) ? uploaded(kept) : undefined;
  const name = path.at(-1) ?? "";
  const common = {
    label: name.replaceAll("_", " "),
    description: note === undefined ? schema.description : `${schema.description ?? ""} Now: ${note}, unless another stands here.`.trim(),
    error: said(faultsOf(errors, path)),
    required: required ?? false,
    name: path.join("."),
  };
  switch (kindOf(schema)) {
    case "object":
      return <Members {...props} />;
    case "choice": {
      const choices = schema.enum ?? [];
      const chosen = choices.findIndex((choice) => stringify(choice) === stringify(value));
      const first = schema.default === undefined ? "not given" : `${String(schema.default)} (default)`;
      return (
        <NativeSelect
          {...common}
          required={false}
          value={chosen < 0 ? "" : String(chosen)}
          onChange={(event) => set(path, event.currentTarget.value === "" ? undefined : choices[Number(event.currentTarget.value)])}
          data={[{ value: "", label: first }, ...choices.map((choice, place) => ({ value: String(place), label: String(choice) }))]}
        />
      );
    }
    case "boolean":
      return (
        <Checkbox
          label={common.label}
          description={common.description}
          error={common.error}
          name={common.name}
          checked={(value ?? schema.default ?? false) === true}
          onChange={(event) => set(path, event.currentTarget.checked)}
        />
      );
    case "number":
      return (
        <TextInput
          {...common}
          inputMode="decimal"
          placeholder={schema.default === undefined ? "" : `${String(schema.default)} (default)`}
          value={value === undefined ? "" : String(value)}
          onChange={(event) => set(path, numeric(event.currentTarget.value))}
        />
      );
    case "molecule":
      return <MoleculeField value={typeof value === "string" ? value : ""} set={(text) => set(path, text)} error={common.error} label={common.label} description={common.description} />;
    case "text": {
      const text = typeof value === "string" ? value : "";
      const change = (next: string) => set(path, next === "" && !required ? undefined : next);
      return (schema.maxLength ?? 4096) > 300 ? (
        <Textarea {...common} autosize minRows={2} maxRows={12} value={text} onChange={(event) => change(event.currentTarget.value)} />
      ) : (
        <TextInput {...common} value={text} onChange={(event) => change(event.currentTarget.value)} />
      );
    }
    case "json":
      return <JsonField {...props} common={common} />;
  }
}

/** Its digits as they were typed; what is no number yet is sent as text, and refused by the server with its place. */
function numeric(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(trimmed) ? (parse(trimmed) as number | Exact) : text;
}

function Members({ schema, path, ...rest }: FieldProps) {
  const members = Object.entries(schema.properties ?? {}).filter(([, member]) => kindOf(member) !== "choice" || (member.enum?.length ?? 0) > 1);
  return (
    <fieldset className="members" data-root={path.length === 0 || undefined}>
      {path.length > 0 && <legend>{path.at(-1)}</legend>}
      {members.map(([name, member]) => (
        <Field key={name} {...rest} schema={member} path={[...path, name]} required={schema.required?.includes(name) ?? false} />
      ))}
    </fieldset>
  );
}

function JsonField({ path, inputs, set, common }: FieldProps & { common: { label: string; description?: string | undefined; error?: string | undefined } }) {
  const value = at(inputs, path);
  const [text, setText] = useState(value === undefined ? "" : stringify(value, 2));
  const [fault, setFault] = useState("");
  return (
    <Textarea
      label={common.label}
      description={common.description ?? "JSON"}
      error={fault || common.error}
      classNames={{ input: "mono" }}
      autosize
      minRows={2}
      maxRows={16}
      value={text}
      onChange={(event) => {
        const next = event.currentTarget.value;
        setText(next);
        try {
          set(path, next.trim() === "" ? undefined : parse(next));
          setFault("");
        } catch (error) {
          setFault((error as Error).message);
        }
      }}
    />
  );
}
