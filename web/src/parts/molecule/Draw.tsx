import { CanvasEditor, type Molecule } from "openchemlib";
import { useEffect, useRef } from "react";

/** A structure to draw, by OpenChemLib. `changed` is given it whenever the user has drawn. */
export default function Draw({ changed }: { changed: (molecule: Molecule) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const told = useRef(changed);
  told.current = changed;
  useEffect(() => {
    if (!box.current) return;
    const editor = new CanvasEditor(box.current, { initialMode: "molecule" });
    editor.setOnChangeListener(({ type, isUserEvent }) => {
      if (type === "molecule" && isUserEvent) told.current(editor.getMolecule());
    });
    return () => editor.destroy();
  }, []);
  return <div className="draw" ref={box} role="application" aria-label="Draw a structure" />;
}
