// Builds weather.wasm beside this script.
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";

const { component } = await componentize({
  sourcePath: "weather.js",
  witPath: "wit",
  worldName: "weather",
  // A function is given its arguments and nothing else, so that the world of WASI need not be there.
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
await writeFile("weather.wasm", component);
console.log(`weather.wasm has ${component.length} bytes`);
