// Small parts that several views share.
import type { ComponentChildren } from "preact";
import { Run, outcome, pct } from "./data";

export const Dot = ({ run }: { run: Run }) => <i class={`dot s${run.i % 3}`} style={{ background: run.color }} />;

export function OutcomeMark({ run, i, word = true }: { run: Run; i: number; word?: boolean }) {
  const o = outcome(run, i);
  return <span class={`mark ${o.key}`} title={`${run.name}: ${o.label}`}><i aria-hidden="true">{o.mark}</i>{word ? o.short : <span class="sr">{run.name}: {o.short}</span>}</span>;
}

export const Meter = ({ value, grey = false }: { value: number | null | undefined; grey?: boolean }) => <span class={grey ? "meter grey" : "meter"} style={{ "--v": value ?? 0 }}><i /></span>;

export const Scroll = ({ label, children }: { label: string; children: ComponentChildren }) => <div class="scroll" tabIndex={0} role="region" aria-label={label}>{children}</div>;

export const Figure = ({ title, say, children }: { title: ComponentChildren; say?: ComponentChildren; children: ComponentChildren }) => (
  <figure><figcaption><h2>{title}</h2>{say && <span>{say}</span>}</figcaption>{children}</figure>
);

// Figures of a chart for those who do not see it.
export function Figures({ label, columns, rows }: { label: string; columns: string[]; rows: (string | number)[][] }) {
  return <details class="figures"><summary>Figures</summary><Scroll label={label}><table class="facts"><thead><tr>{columns.map((c, k) => <th scope="col" class={k ? "n" : ""}>{c}</th>)}</tr></thead><tbody>{rows.map((row) => <tr>{row.map((cell, k) => (k ? <td class="n">{cell}</td> : <th scope="row">{cell}</th>))}</tr>)}</tbody></table></Scroll></details>;
}

export const Chance = ({ p }: { p: number | null | undefined }) => <><Meter value={p} /><span class="num">{pct(p, 0)}</span></>;
