import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/** Energies of one optimization differ behind the fourth. */
const DIGITS = 8;

/** One line over the steps of something. `pick` is told the step that is pointed at. */
export default function Plot({ values, name, unit, pick }: { values: number[]; name: string; unit: string; pick?: (step: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const picked = useRef(pick);
  picked.current = pick;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const ink = getComputedStyle(element).color;
    const axis = { stroke: ink, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8888" } };
    const plot = new uPlot(
      {
        width: Math.max(element.clientWidth, 200),
        height: 200,
        scales: { x: { time: false } },
        axes: [
          { ...axis, label: "step", incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
          { ...axis, label: unit, size: 100, values: (_, splits) => splits.map((split) => split.toPrecision(DIGITS)) },
        ],
        series: [{ label: "step" }, { label: name, stroke: "#3b82f6", width: 2, points: { show: values.length < 200 } }],
        hooks: { setCursor: [({ cursor: { idx } }) => idx != null && picked.current?.(idx)] },
      },
      [values.map((_, step) => step), values],
      element,
    );
    const observer = new ResizeObserver(() => plot.setSize({ width: Math.max(element.clientWidth, 200), height: 200 }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [values, name, unit]);
  return <div ref={box} role="img" aria-label={`${name} over ${values.length} steps, from ${values[0]} to ${values.at(-1)} ${unit}`} />;
}
