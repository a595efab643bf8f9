/** Whether a host, with its port or without, is this machine alone: what is said to it in the clear nobody else reads. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host);
}
