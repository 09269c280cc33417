/** A wire between browser and gateway that can be cut. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export async function wire(to: string) {
  const { hostname, port } = new URL(to);
  const open = new Set<Socket>();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]] as const) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => {});
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      whole = false;
      open.forEach((socket) => socket.destroy());
    },
    mend() {
      whole = true;
    },
    end() {
      open.forEach((socket) => socket.destroy());
      server.close();
    },
  };
}
