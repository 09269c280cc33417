/** A molecule in 3D. 3Dmol.js is loaded with this file, and this file only where a molecule is shown. */
import { useEffect, useRef, useState } from "react";
import * as threeD from "3dmol/build/3Dmol.es6-min.js";

export type Shown =
  | { kind: "still"; xyz: string }
  /** `frame` of the trajectory; null plays it. */
  | { kind: "frames"; xyz: string; frame: number | null }
  /** With moves behind the coordinates. */
  | { kind: "vibration"; xyz: string };

/** Beyond so many atoms there are lines and no spheres: drawing stays quick where no graphics card helps. */
const STICK_ATOMS_MAX = 1000;

/** About which axis to turn what would be seen from its edge, such as a water whose plane has no x. */
function edge(xyz: string): "x" | "y" | null {
  const places = xyz.split("\n").slice(2, 2 + 500).map((line) => line.trim().split(/\s+/).slice(1, 4).map(Number)).filter((place) => place.length === 3);
  const [x = 0, y = 0, z = 0] = [0, 1, 2].map((axis) => {
    const along = places.map((place) => place[axis] ?? 0);
    return Math.max(...along) - Math.min(...along);
  });
  return z > x && x <= y ? "y" : z > y ? "x" : null;
}

type Viewer = ReturnType<typeof threeD.createViewer>;

export default function Molecule({ shown, label }: { shown: Shown; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const viewer = useRef<Viewer | null>(null);
  const seen = useRef(0);
  const [failed, setFailed] = useState("");

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    try {
      viewer.current = threeD.createViewer(element, { backgroundAlpha: 0, antialias: true, disableFog: true });
    } catch (error) {
      setFailed(String(error));
      return;
    }
    const observer = new ResizeObserver(() => viewer.current?.resize());
    observer.observe(element);
    return () => {
      observer.disconnect();
      viewer.current?.stopAnimate();
      viewer.current = null;
      element.replaceChildren();
    };
  }, []);

  const { kind, xyz } = shown;
  const atoms = Number(xyz.split("\n", 1)[0]);
  useEffect(() => {
    const view = viewer.current;
    if (!view) return;
    view.stopAnimate();
    view.removeAllModels();
    if (kind === "frames") view.addModelsAsFrames(xyz, "xyz");
    else view.addModel(xyz, "xyz");
    if (atoms > STICK_ATOMS_MAX) {
      view.setStyle({}, { line: { linewidth: 2 } });
      // Without a bond, a line has no length.
      view.setStyle({ bonds: 0 }, { sphere: { scale: 0.2 } });
    } else view.setStyle({}, { stick: { radius: 0.13 }, sphere: { scale: 0.27 } });
    if (kind === "vibration") {
      view.vibrate(12, 0.6, true, {});
      view.animate({ loop: "backAndForth", interval: 40, reps: 0 });
    }
    // Another view of the same atoms is seen from where they were seen before.
    if (seen.current !== atoms) {
      seen.current = atoms;
      view.zoomTo();
      const flat = edge(xyz);
      if (flat) view.rotate(90, flat);
      if (atoms < 10) view.zoom(1.5);
    }
    view.render();
  }, [kind, xyz, atoms]);

  const frame = shown.kind === "frames" ? shown.frame : undefined;
  useEffect(() => {
    const view = viewer.current;
    if (!view || frame === undefined) return;
    view.stopAnimate();
    if (frame === null) view.animate({ loop: "forward", interval: 120, reps: 0 });
    else void Promise.resolve(view.setFrame(frame)).then(() => view.render());
  }, [frame, xyz]);

  if (failed !== "") return <p className="problem">This browser draws nothing in 3D: {failed}</p>;
  return <div className="molecule" ref={box} role="img" aria-label={label} data-shown={kind} />;
}
