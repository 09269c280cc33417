import { useEffect, useId, useRef, type ReactNode } from "react";

/** The browser's own: it holds the focus, and Escape closes it. */
export function Dialog({ open, onClose, title, children }: { open: boolean; onClose: () => void; title: string; children: ReactNode }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return element.current?.close();
    element.current?.showModal();
    // Where something is to be typed, one can type at once.
    element.current?.querySelector<HTMLElement>("input:not([type=checkbox], [readonly]), textarea")?.focus();
  }, [open]);
  return (
    <dialog ref={element} onClose={onClose} aria-labelledby={id}>
      {open && (
        <>
          <div className="row">
            <h1 id={id}>{title}</h1>
            <span className="grow" />
            <button type="button" className="plain-button" onClick={onClose} aria-label="Close">
              ✕
            </button>
          </div>
          {children}
        </>
      )}
    </dialog>
  );
}
