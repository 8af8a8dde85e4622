import { Compass } from "lucide-react";
import { LinkButton } from "../ui/button";
import { Empty } from "../ui/panel";

export function NotFound() {
  return (
    <main className="grid min-h-dvh place-items-center">
      <h1 className="sr-only">Not found</h1>
      <Empty icon={<Compass size={20} />} title="There is nothing at this address" action={<LinkButton to="/" look="primary">Overview</LinkButton>}>
        The link may be from a device, stream or pipeline that is gone.
      </Empty>
    </main>
  );
}
