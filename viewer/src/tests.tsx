import { GLYPHS, Index, Run, VERDICTS, amount, labelled, pct, plural, sum } from "./data";
import { Dot, Meter, OutcomeMark, Scroll } from "./parts";
import { Route, href } from "./route";

// What a test of a problem with right and wrong candidates does to them; analysis/view/problem_columns.py counts.
const KINDS = [["sure-right", "accepts every right candidate, rejects a wrong one"], ["tied", "accepts all"], ["unsure-wrong", "rejects some right candidates"], ["sure-wrong", "rejects every right candidate"]];
const WORST = 10;

export function Tests({ index, run, route }: { index: Index; run: Run; route: Route }) {
  const kinds = (r: Run) => KINDS.map((_, k) => sum(r.cols.kinds.map((x) => x?.[k]))), own = kinds(run), judged = sum(own), total = sum(run.verdicts), known = labelled(run) && judged > 0;
  const verdicts = VERDICTS.map((name, v) => ({ name, v, n: run.verdicts[v] })).filter((d) => d.n).sort((a, b) => b.n - a.n);
  const worst = run.own.map((i) => ({ i, n: run.cols.kinds[i]?.[3] ?? 0 })).filter((d) => d.n).sort((a, b) => b.n - a.n || a.i - b.i).slice(0, WORST);
  const split = run.own.map((i) => ({ i, n: run.cols.voting[i] ?? 0, share: (run.cols.passed[i] ?? 0) / (run.cols.voting[i] || 1) })).filter((d) => d.n).sort((a, b) => a.share - b.share || b.n - a.n).slice(0, WORST);
  const paid = `Of ${plural(run.spent.tests ?? 0, "test")} that were paid for, ${amount(run.status.usable ?? 0)} were usable, ${amount(run.status.unusable ?? 0)} were not, ${amount(run.status.duplicate ?? 0)} repeat another.`;
  return (
    <>
      <section class="lead"><h1>{known ? <>{pct(own[3] / judged, 0)} of the tests reject every right candidate</> : <>{pct((run.verdicts[1] ?? 0) / (total - run.verdicts[8] || 1), 0)} of the pairs that were run passed</>}</h1>
        <p>{known && <>{pct(own[0] / judged, 0)} accept every right candidate and reject a wrong one. Both are of {plural(judged, "voting test")} of problems that have right and wrong candidates. </>}{paid}</p></section>
      {known && <section><h2>What single tests do</h2>
        <table class="shares"><tbody>{index.runs.map((r) => { const found = kinds(r); return <tr><th scope="row"><Dot run={r} />{r === run ? <b>{r.name}</b> : r.name}</th><td><div class="outcomes">{found.map((n, k) => (n ? <span class={`part ${KINDS[k][0]}`} style={{ flexGrow: n }} title={`${n} tests: ${KINDS[k][1]}`}><b>{n.toLocaleString("en")}</b></span> : null))}</div></td></tr>; })}</tbody></table>
        <ul class="legend">{KINDS.map(([cls, label], k) => <li><i class={`swatch ${cls}`} />{label} <small>{own[k].toLocaleString("en")} in {run.name}</small></li>)}</ul></section>}
      <div class="grid two">
        <section><h2>Verdicts <small>{amount(total)} pairs of a program and a test</small></h2><Scroll label="Verdicts"><table class="facts verdict-table"><tbody>{verdicts.map((d) => <tr><th scope="row"><i class={`cell v${d.v}`}>{GLYPHS[d.v]}</i>{d.name}</th><td class="n">{amount(d.n)}</td><td class="n">{pct(d.n / total)}</td><td class="wide"><Meter grey value={d.n / total} /></td></tr>)}</tbody></table></Scroll></section>
        <section><h2>{known ? "Most tests that reject every right candidate" : "Picks that pass the smallest share of their tests"}</h2><Scroll label="Problems with the worst tests"><table class="facts verdict-table wrap"><tbody>{known ? worst.map(({ i, n }) => <Row index={index} run={run} route={route} i={i} say={`${n} of ${run.cols.voting[i]}`} />) : split.map(({ i }) => <Row index={index} run={run} route={route} i={i} say={`${run.cols.passed[i]} of ${run.cols.voting[i]}`} />)}</tbody></table>{known && !worst.length && <p class="empty">None.</p>}</Scroll></section>
      </div>
      {run.reasons.length > 0 && <section><h2>Why pairs errored, were unconfirmed or did not compile <small>most frequent reasons</small></h2><Scroll label="Reasons"><table class="facts wrap"><tbody>{run.reasons.map(([v, sentence, n]) => <tr><th scope="row"><i class={`cell v${v}`}>{GLYPHS[v]}</i> {VERDICTS[v]}</th><td class="n">{amount(n)}</td><td class="say">{sentence}</td></tr>)}</tbody></table></Scroll></section>}
    </>
  );
}

const Row = ({ index, run, route, i, say }: { index: Index; run: Run; route: Route; i: number; say: string }) => <tr><th scope="row"><a href={href(route, { view: "problem", id: index.ids[i] })}>{index.ids[i]}</a> <code>{index.entry[i]}</code></th><td class="n">{say}</td><td><OutcomeMark run={run} i={i} /></td></tr>;
