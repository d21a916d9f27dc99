// Runs a test program of pop-signal that was built for wasm32-unknown-unknown:
//
//   node crates/pop-signal/tests/wasm/run.mjs FILE.wasm
//
// Such a program can print nothing: a test that fails is a trap. `.ci/run` says how it is built.
import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const wanted = WebAssembly.Module.imports(module);
if (wanted.length > 0) {
  throw new Error(`expected no imports, got ${wanted.map((it) => `${it.module}.${it.name}`)}`);
}
const { exports } = new WebAssembly.Instance(module, {});
const status = exports.main(0, 0);
if (status !== 0) {
  throw new Error(`expected status 0, got ${status}`);
}
console.log("all tests passed in WebAssembly");
