import type { Socket } from "node:net";

/**
 * Ends a connection with a TCP reset. One that is being ended already is closed instead: libuv refuses to reset it, and Node then waits
 * for its handle in vain, for good, as the process exits. (https://github.com/libp2p/js-libp2p/pull/3597)
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
