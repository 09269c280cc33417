/** What one attempt may use, as it stands in the form. What is left empty is the module's, or that of the job that is run again. */
export type Amounts = Partial<Record<string, string | number>>;

export const AMOUNTS = [
  { name: "cpu", label: "cores", unit: "cpu", min: 1 },
  { name: "mem_mb", label: "memory", unit: "mem_mb, in MiB", min: 1 },
  { name: "wall_time_s", label: "longest run", unit: "wall_time_s, in seconds", min: 1 },
];

/** As the API takes it. */
export const asked = (amounts: Amounts): Record<string, number> =>
  Object.fromEntries(Object.entries(amounts).flatMap(([name, amount]) => (amount === "" || amount == null ? [] : [[name, Number(amount)]])));
