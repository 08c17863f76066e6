import { useRef, useState } from "preact/hooks";
import { DetailRun, GLYPHS, NOT_RUN, Test, VERDICTS, pct, plural, verdictOf } from "./data";
import { visible } from "./code";
import { Arranged, Group, MatrixRow, gave, rejectsAllRight } from "./problem";
import { Route, href } from "./route";

export const scoreText = (x: number) => x.toFixed(2).replace("-", "−");
const MOST_CELLS = 4000;
type Show = (p: number, t?: Test) => void;
const STEPS: Record<string, [number, number]> = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0], Home: [-1e6, 0], End: [1e6, 0], PageUp: [0, -10], PageDown: [0, 10] };

export function Matrix({ r, a, program, test, show, route, keep }: { r: DetailRun; a: Arranged; program: number; test?: Test; show: Show; route: Route; keep: string[] }) {
  const scored = r.score.some((x) => x != null);
  const grid = useRef<HTMLTableElement>(null), [over, hover] = useState<[number, number] | null>(null);
  const votes = (p: number) => a.tests.map(({ t }) => t.v![p]).join("");
  // Beyond 4,000 cells, programs of a group with equal votes share a row.
  const folded = a.rows.length * a.tests.length > MOST_CELLS;
  const blocks = folded ? a.blocks.map((g): Group => ({ ...g, rows: [...g.rows.reduce((kept, row) => { const key = votes(row.program) + (row.program === r.pick ? "pick" : "") + (r.ok?.[row.program] ?? ""), old = kept.get(key); kept.set(key, old ? { ...old, copies: [...old.copies, ...row.copies] } : row); return kept; }, new Map<string, MatrixRow>()).values()] })) : a.blocks;
  const rows = blocks.flatMap((g) => g.rows), byPassed = a.blocks[0]?.g === -1;
  const of = (p: number) => Math.max(0, rows.findIndex((x) => x.program === p || (folded && x.copies.includes(r.reps[p]))));
  const at = { y: of(program), x: Math.max(0, a.tests.findIndex((x) => x.t === test)) };
  const key = (e: KeyboardEvent) => {
    const step = STEPS[e.key];
    if (e.key === "Enter" || e.key === " ") { document.getElementById("cell")?.focus(); e.preventDefault(); return; }
    if (!step) return;
    e.preventDefault();
    const x = Math.min(a.tests.length - 1, Math.max(0, at.x + step[0])), y = Math.min(rows.length - 1, Math.max(0, at.y + step[1]));
    show(rows[y].program, a.tests[x]?.t);
    requestAnimationFrame(() => grid.current?.querySelector<HTMLElement>("td[tabindex='0']")?.focus());
  };
  const used = [...new Set(a.tests.flatMap(({ t }) => r.reps.map((_, p) => verdictOf(t, p))))].sort((x, y) => +(y === 1) - +(x === 1) || x - y);
  if (!a.tests.length) return <section class="votes"><h2>Candidates × tests</h2><p class="empty">No test of this problem could be used, so there are no votes.</p></section>;
  const call = r.tell ? visible(r.outs[r.tell.call]) : "";
  return (
    <section class="votes">
      <h2>Candidates × tests <small>most telling test first; {byPassed ? "most tests passed first" : "candidates with equal outputs stand together"}{folded ? "; programs with equal votes share a row" : ""}</small></h2>
      <ul class="legend verdicts">{used.map((v) => <li><i class={`cell v${v}`}>{GLYPHS[v]}</i>{VERDICTS[v]}</li>)}{r.ok && <><li><i class="disc ok" /> right by the ground truth</li><li><i class="disc" /> wrong</li><li><i class="flag">▾</i> rejects every right candidate</li></>}<li><a href={href(route, { keep: [...keep, "c", "t"], set: { x: byPassed ? null : "passed" } })}>{byPassed ? "Sort by group" : "Sort by tests passed"}</a></li></ul>
      <div class="scroll matrix-box" tabIndex={-1}>
        <table class="matrix" role="grid" aria-label="candidates by tests" aria-rowcount={rows.length + 1} aria-colcount={a.tests.length + 3 + +scored + +!!r.tell} ref={grid} onKeyDown={key} onMouseLeave={() => hover(null)}>
          <thead><tr><th scope="col" class="g">Group</th><th scope="col" class="cand">Candidate</th>
            {a.tests.map(({ t, share }, x) => { const all = rejectsAllRight(r, t); return <th scope="col" class={`t ${t === test ? "on" : ""} ${share === 0 || share === 1 ? "dull" : ""} ${over?.[0] === x ? "lit" : ""}`} title={`test ${t.i}: ${pct(share, 0)} of the candidates pass${all ? "; it rejects every right candidate" : ""}`}><span class="bar" style={{ height: `${Math.round(share * 22)}px` }} />{t.i}{all && <i class="flag">▾</i>}</th>; })}
            <th scope="col" class="n">Passed</th>{scored && <th scope="col" class="n chance" title="score under the run's selection rule; the highest wins">Score</th>}{r.tell && <th scope="col" class="gave" title={call}>Gave on <code dir="ltr">{call.length > 60 ? call.slice(0, 58) + "…" : call}</code></th>}</tr></thead>
          <tbody>{blocks.map((g) => g.rows.map((row, n) => { const p = row.program, y = rows.indexOf(row), ok = r.ok?.[p]; return (
            <tr class={`${n === 0 ? "first" : ""} ${y === at.y ? "on" : ""} ${p === r.pick ? "picked" : ""} ${over?.[1] === y ? "lit" : ""}`}>
              {byPassed ? <th scope="row" class="g"><span class="grp">{a.nameOf.get(r.grp[p])}</span></th> : n === 0 && <th scope="rowgroup" class="g" rowSpan={g.rows.length}><span class="grp">{g.name}</span>{g.size > 1 && <small>{g.size}</small>}</th>}
              <th scope="row" class="cand"><a href="#" onClick={(e) => { e.preventDefault(); show(p, test); }}>{r.ok && <i class={`disc ${ok ? "ok" : ""}`} title={ok ? "right" : "wrong"} />}#{row.copies[0]}{row.copies.length > 1 && <small title={`${folded ? "equal votes" : "the same program"}: ${row.copies.map((x) => "#" + x).join(", ")}`}> ×{row.copies.length}</small>}</a>{p === r.pick ? <b class="tag">pick</b> : r.win.includes(p) ? <span class="tag thin">tied</span> : null}{r.notes[p] && <span class="tag thin" title={r.notes[p]}>note</span>}</th>
              {a.tests.map(({ t }, x) => { const v = verdictOf(t, p), on = y === at.y && t === test; return <td role="gridcell" tabIndex={on ? 0 : -1} class={`cell v${v} ${on ? "at" : ""}`} onMouseEnter={() => hover([x, y])} onClick={() => show(p, t)} aria-label={`candidate ${row.copies[0]}, test ${t.i}: ${VERDICTS[v]}`}>{GLYPHS[v]}</td>; })}
              <td class="n">{row.passed}<small class="wide-only"> of {a.tests.length}</small></td>
              {scored && <td class="n chance">{r.score[p] == null ? "out" : scoreText(r.score[p]!)}</td>}
              {r.tell && <td class="gave" title={gave(r, r.tell.of[r.grp[p]])}><code dir="ltr">{gave(r, r.tell.of[r.grp[p]])}</code></td>}
            </tr>); }))}</tbody>
        </table>
      </div>
      <p class="note">{plural(r.of.length, "candidate")}, {plural(r.reps.length, "distinct program")}, {plural(a.tests.length, "voting test")}{a.tests.some(({ t }) => t.v!.includes("x")) ? `; ${VERDICTS[NOT_RUN]} (·): the candidate could no longer win, or another stood for it` : ""}.</p>
    </section>
  );
}
