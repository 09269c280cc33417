import { useEffect, useId, useRef, type ReactNode } from "react";

/** The browser's own: it holds the focus, and Escape closes it. */
export function Dialog({ open, onClose, title, children }: { open: boolean; onClose: () => void; title: string; children: ReactNode }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    if (open) element.current?.showModal();
    else element.current?.close();
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
