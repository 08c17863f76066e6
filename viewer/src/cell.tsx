import { useState } from "preact/hooks";
import { Code, Difference, visible } from "./code";
import { Detail, DetailRun, NOT_RUN, Test, VERDICTS, amount, plural, verdictOf } from "./data";
import { Scroll } from "./parts";
import { gave } from "./problem";

const GENERAL = ["An assertion of the test does not hold.", "Every assertion of the test holds.", "The test ended with an error.", "The test reached its time limit.", "The test reached its memory limit.", "The process ended before the test did.", "The candidate could have forged the pass.", "The candidate does not compile.", "The pair was not run: the candidate could no longer win, or another one with equal outputs stood for it."];
const SHOWN_CALLS = 4;

// What one candidate did on one test, and both texts.
export function Cell({ d, r, program, test }: { d: Detail; r: DetailRun; program: number; test?: Test }) {
  const v = test ? verdictOf(test, program) : NOT_RUN, number = test?.why?.[program] ?? -1, reason = number >= 0 ? r.reasons[number] : undefined, detail = reason?.[1] ?? {};
  const calls = (test?.calls ?? []).filter(([, by]) => by[program] >= 0), [all, setAll] = useState(false), [compare, setCompare] = useState(false), cpu = test?.ms?.[program];
  // assertTrue and assertFalse name their value in the message alone.
  const wanted = detail.expected ?? { true: "True", false: "False" }[/ is not (true|false)\b/.exec(detail.message ?? "")?.[1] ?? ""];
  const given = detail.given !== undefined, expected = wanted !== undefined, right = r.ok?.[program];
  // A call whose output is the given value of the failed assertion comes first.
  const hits = given ? calls.filter((c) => gave(r, c[1][program]) === visible(detail.given)) : [];
  const order = calls.map((c) => ({ c, hit: hits.length === 1 && c === hits[0] })).sort((x, y) => +y.hit - +x.hit), shown = all ? order : order.slice(0, SHOWN_CALLS);
  const pick = r.pick === null ? null : d.texts[r.code[r.pick]], text = d.texts[r.code[program]], prompt = d.prompt === null ? undefined : d.texts[d.prompt];
  return (
    <section id="cell" tabIndex={-1} aria-live="polite">
      <h2>Candidate #{r.reps[program]} {test && <>on test {test.i}: <span class={`verdict v${v}`}>{VERDICTS[v]}</span> {cpu ? <small>{cpu} ms of CPU</small> : null}</>}</h2>
      {test && (
        <div class="reason">
          <p>{v === 0 && right ? <b class="warn">The candidate is right by the ground truth, so the test is wrong. </b> : null}{v === 1 && right === 0 ? <b class="warn">The candidate is wrong by the ground truth, and the test does not show it. </b> : null}{reason ? visible(reason[0]) : GENERAL[v]}{test.trust?.includes(program) ? " Judged in one process with the candidate, on trust." : ""}{test.cut?.includes(program) ? " It was cut off before its full limit." : ""}</p>
          {(given || expected) && <dl class="values"><div><dt>The test expects</dt><dd><code dir="ltr">{expected ? visible(wanted) : "something else"}</code></dd></div><div class="miss"><dt>The candidate gave</dt><dd><code dir="ltr">{given ? visible(detail.given) : "–"}</code></dd></div></dl>}
          {(detail.message || detail.limit || detail.module) && <p class="note">{[detail.exception, detail.message, detail.limit && `limit ${detail.limit}`, detail.module && `module ${detail.module}`].filter(Boolean).map((x) => visible(x as string)).join(" · ")}</p>}
          {shown.length > 0 && <Scroll label="Calls of the test"><table class="checks two-columns"><thead><tr><th scope="col">The test calls</th><th scope="col">The candidate gave</th></tr></thead><tbody>{shown.map(({ c, hit }) => <tr class={hit && v === 0 ? "miss" : ""}><td><code dir="ltr">{visible(r.outs[c[0]])}</code></td><td><code dir="ltr">{gave(r, c[1][program])}</code></td></tr>)}</tbody></table></Scroll>}
          {(order.length > shown.length || all) && <button type="button" onClick={() => setAll(!all)}>{all ? "Show fewer" : `Show all ${order.length} calls`}</button>}
        </div>)}
      <div class="grid two code-pair">
        <figure><figcaption>Candidate #{r.reps[program]} {r.ok && <><i class={`disc ${right ? "ok" : ""}`} /> {right ? "right" : "wrong"} by the ground truth</>}{r.notes[program] && <small> {r.notes[program]}</small>}
          {pick !== null && program !== r.pick && <button type="button" class="beside" aria-pressed={compare} onClick={() => setCompare(!compare)}>{compare ? "Show the program" : "Compare with the pick"}</button>}</figcaption>
          {compare && pick !== null && program !== r.pick ? <Difference before={pick} after={text} label={`Difference of the pick and candidate ${r.reps[program]}`} /> : <Code text={text} language={d.language} skip={prompt} label={`Candidate ${r.reps[program]}`} />}</figure>
        {test && <figure><figcaption>Test {test.i} <small>{test.tok == null ? "" : plural(test.tok, "token")}{detail.line && v !== 1 ? `; line ${detail.line} is marked` : ""}</small></figcaption><Code text={d.texts[(test.code ?? test.text)!]} language={d.language} mark={v !== 1 && detail.line && /line/.test(reason![0]) && !/candidate/.test(reason![0]) ? +detail.line : undefined} label={`Test ${test.i}`} /></figure>}
      </div>
    </section>
  );
}
