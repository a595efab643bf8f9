/** Loaded into a dstream process before its own code: answers, over the channel to its parent, what the process used so far. */
process.on("message", (message) => {
  if (message !== "usage") return;
  const { user, system } = process.cpuUsage();
  process.send!({ kind: "usage", usage: { cpu: user + system, peakMemory: process.resourceUsage().maxRSS * 1024 } });
});
process.channel?.unref();
