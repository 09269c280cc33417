import { useRef, useState, type ReactNode } from "react";

const OPENS = new Set(["Enter", " ", "F4"]);

/**
 * A select that does something with what is picked, and has nothing chosen before and behind it. Arrows and letters on it
 * while it is closed change what it shows; that is picked by Enter, and forgotten by Escape or by going elsewhere.
 */
export function Pick({ picked, children }: { picked: (value: string) => void; children: ReactNode }) {
  const [shown, setShown] = useState("");
  // Of what is pressed while the list is open, the page hears nothing: the last key it heard opened it.
  const moves = useRef(false);
  function pick(value: string) {
    setShown("");
    if (value !== "") picked(value);
  }
  return (
    <>
      <select
        value={shown}
        onPointerDown={() => (moves.current = false)}
        onKeyDown={(event) => {
          const { key, altKey } = event;
          moves.current = !altKey && !OPENS.has(key);
          if (key === "Escape") setShown("");
          if (key !== "Enter" || shown === "") return;
          event.preventDefault();
          pick(shown);
        }}
        onBlur={() => setShown("")}
        onChange={({ currentTarget: { value } }) => (moves.current ? setShown(value) : pick(value))}
      >
        {children}
      </select>
      {shown !== "" && <span role="status"> Enter ↵</span>}
    </>
  );
}
