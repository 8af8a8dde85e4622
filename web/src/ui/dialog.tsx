import { X } from "lucide-react";
import { useEffect, useId, useRef, type ReactNode } from "react";
import { IconButton } from "./button";
import { cx } from "./cx";

interface Props {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
  className?: string;
  /** The content brings its own heading and close. */
  bare?: boolean;
}
/** The platform's modal dialog: focus stays inside, Escape closes, what lies behind is inert. */
export function Dialog({ title, open, onClose, children, className, bare = false }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog || !open) return;
    dialog.showModal();
    return () => dialog.close();
  }, [open]);
  if (!open) return null;
  return (
    <dialog
      ref={ref}
      aria-labelledby={bare ? undefined : id}
      aria-label={bare ? title : undefined}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        if (event.target === ref.current) onClose();
      }}
      className={cx(
        "m-auto max-h-[85dvh] w-[calc(100vw-2rem)] max-w-lg overflow-auto whitespace-normal rounded-xl border border-line bg-panel p-0 shadow-2xl shadow-black/40 animate-pop",
        className,
      )}
    >
      {bare ? (
        children
      ) : (
        <>
          <div className="flex h-12 items-center border-b border-line/70 pl-5 pr-3">
            <h2 id={id} className="text-[14px] font-semibold">
              {title}
            </h2>
            <IconButton label="Close" className="ml-auto" onClick={onClose}>
              <X size={16} />
            </IconButton>
          </div>
          <div className="p-5">{children}</div>
        </>
      )}
    </dialog>
  );
}
