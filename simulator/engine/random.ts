/** Numbers by chance that a seed decides. */

/** Small, fast, good enough for test data: https://github.com/cprosche/mulberry32 (public domain). */
export function mulberry32(state: { random: number }): number {
  state.random = (state.random + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state.random ^ (state.random >>> 15), state.random | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}
