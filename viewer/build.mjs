// Bundles the page's program and style, and writes the hash of the sources that they were made from.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = "../analysis/view/bundle";
await build({ entryPoints: { main: "src/main.tsx" }, bundle: true, minify: true, charset: "ascii", target: "es2022", jsx: "automatic", jsxImportSource: "preact", outdir: out, legalComments: "none", logLevel: "warning" });
await build({ entryPoints: { main: "src/style.css" }, minify: true, outdir: out, logLevel: "warning" });

const hash = createHash("sha256");
const sources = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json", ...readdirSync("src").map((name) => `src/${name}`)].sort();
for (const name of sources) hash.update(`${name}\0`).update(readFileSync(name)).update("\0");
writeFileSync(`${out}/sources.sha256`, `${hash.digest("hex")}\n`);

// Licences of what is in the bundle.
const lock = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
const parts = Object.entries(lock).filter(([place, part]) => place && !part.dev && !part.optional).map(([place]) => {
  const about = JSON.parse(readFileSync(`${place}/package.json`, "utf8"));
  const file = readdirSync(place).find((name) => /^licen[cs]e/i.test(name));
  return `${about.name} ${about.version} (${about.license})\n\n${file ? readFileSync(`${place}/${file}`, "utf8").trim() : "No licence file."}\n`;
});
writeFileSync(`${out}/THIRD_PARTY.txt`, parts.join(`\n${"-".repeat(80)}\n\n`));
