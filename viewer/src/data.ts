// The data of a page of runs, as analysis/view/run_index.py and problem_details.py write them. The index is read
// before the first paint; details come in chunks when a problem is opened.
export type Maybe = number | null;
export type Columns = {
  pick: Maybe[]; tied: Maybe[]; tests: Maybe[]; usable: Maybe[]; voting: Maybe[]; passed: Maybe[]; p: Maybe[]; acc: Maybe[]; right: Maybe[]; cands: Maybe[];
  programs: Maybe[]; groups: Maybe[]; pickgroup: Maybe[]; predicted: Maybe[]; gain: Maybe[]; harm: Maybe[]; harmful: Maybe[]; abstained: Maybe[];
  closed: (string | null)[]; noprogram: Maybe[]; cut: Maybe[]; trusted: Maybe[]; ver: (number[] | null)[]; kinds: (number[] | null)[];
  tokens: Maybe[]; execs: Maybe[]; cpu: Maybe[]; gpu: Maybe[];
};
export type Run = {
  name: string; policy: string; selection: string; seed: number; confidence: string; trust: string; job: string;
  started: string | null; finished: string | null; resumes: number; command: string | null; host: string | null;
  versions: Record<string, string>; models: Record<string, Record<string, unknown>>; sources: Record<string, string>; cut_tasks: number; lost_tasks: number;
  labelled: number; acc: Maybe; ci: [Maybe, Maybe]; pass1: Maybe; ceiling: Maybe; estimated: Maybe; estimated_ci: [Maybe, Maybe]; covered: number;
  cap: Record<string, number>; prices: Record<string, number>; spent: Record<string, Maybe>; lost: Record<string, number>;
  curve: Record<string, Maybe[]>; pools: Record<string, { t: number[]; busy: number[]; queued: number[]; workers: number[] }>; limits: Record<string, number>;
  course: { t: number[]; granted: number[]; executed: number[] } | null; closed: Record<string, number>; status: Record<string, number>; verdicts: number[];
  reasons: [number, string, number][]; cols: Columns; color: string; i: number; own: number[];
};
export type Index = { v: number; kind: string; title: string; ids: string[]; entry: string[]; runs: Run[]; diffs: [string, string, Maybe, Maybe, Maybe, number][]; per: number; live?: string; going?: boolean };
export type Test = { i: number; st: string; tok: Maybe; lost: string; text?: number; code?: number; v?: string; ms?: number[]; trust?: number[]; why?: number[]; cut?: number[]; calls?: [number, number[]][] };
export type Grant = { first: number; tests: number; usable: number; time: Maybe; value: Maybe; terms: Record<string, Maybe>; pick?: number; p?: Maybe; harmful?: number };
export type DetailRun = {
  of: number[]; reps: number[]; code: number[]; ok: number[] | null; notes: string[]; grp: number[]; pick: Maybe; picked: Maybe; win: number[]; score: Maybe[]; why: string;
  tests: Test[]; reasons: [string, Record<string, string>][]; tell: { call: number; of: number[] } | null; outs: string[]; hist: Grant[];
};
export type Detail = { prompt: Maybe; truth: Maybe; entry: string | null; language: string; runs: (DetailRun | null)[]; texts: string[] };

const FORMAT = 1;

export async function unpack(base64: string): Promise<any> {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

export async function readIndex(): Promise<any> {
  const index = await unpack(document.getElementById("index")!.textContent!.trim());
  if (index.v !== FORMAT) throw new Error(`This page's data have format ${index.v}; its program reads ${FORMAT}.`);
  return index.kind === "runs" ? prepared(index) : index;
}

export function prepared(index: Index): Index {
  index.runs.forEach((run, i) => {
    run.color = `var(--run${i % 6})`;
    run.i = i;
    run.own = index.ids.map((_, k) => k).filter((k) => run.cols.cands?.[k] != null);
  });
  chunks.clear();
  return index;
}

const chunks = new Map<number, Promise<Detail[]>>();
export function readDetail(index: Index, at: number): Promise<Detail> {
  const n = Math.floor(at / index.per);
  if (!chunks.has(n)) chunks.set(n, chunkText(index, n).then(unpack));
  return chunks.get(n)!.then((details) => details[at % index.per]);
}

// In the page, from its server, or in a script beside it: scripts load from file:// where fetch may not.
function chunkText(index: Index, n: number): Promise<string> {
  const here = document.getElementById(`d${n}`);
  if (here) return Promise.resolve(here.textContent!.trim());
  if (index.live) return fetch(`${index.live}/detail/${n}`).then((answer) => { if (!answer.ok) throw new Error("The server of this page has ended."); return answer.text(); });
  return new Promise((resolve, reject) => {
    const waiting = ((window as any).testbudgetWaiting ??= new Map());
    waiting.set(n, resolve);
    (window as any).testbudgetChunk = (k: number, text: string) => waiting.get(k)?.(text);
    const script = document.createElement("script");
    script.src = `${document.body.dataset.files}/${n}.js`;
    script.onerror = () => reject(new Error(`${document.body.dataset.files}/${n}.js is missing: keep that folder beside this page.`));
    document.head.append(script);
  });
}

export const VERDICTS = ["failed", "passed", "errored", "timed out", "out of memory", "killed", "unconfirmed", "does not compile", "not run"];
export const GLYPHS = ["×", "", "!", "◷", "M", "K", "?", "C", "·"];
export const NOT_RUN = 8;
export const verdictOf = (test: Test, program: number) => (test.v![program] === "x" ? NOT_RUN : +test.v![program]);

// Without labels, outcomes are what the run itself expects.
export type OutcomeKey = "sure-right" | "unsure-right" | "tied" | "unsure-wrong" | "sure-wrong" | "hopeless" | "likely" | "unclear" | "unlikely" | "none";
export type Outcome = { key: OutcomeKey; label: string; short: string; mark: string; say: string };
export const OUTCOMES: Outcome[] = [
  { key: "sure-right", label: "right, and sure", short: "right", mark: "✓", say: "the pick is right; the run gave it a chance of 80 % or more" },
  { key: "unsure-right", label: "right, but unsure", short: "right", mark: "✓", say: "the pick is right; the run gave it less than 80 %" },
  { key: "tied", label: "undecided tie", short: "tie", mark: "≈", say: "right and wrong candidates tie: the pick is right by luck" },
  { key: "unsure-wrong", label: "wrong, and unsure", short: "wrong", mark: "✗", say: "the pick is wrong although a right candidate exists; the run gave it less than 80 %" },
  { key: "sure-wrong", label: "wrong, though sure", short: "wrong", mark: "✗", say: "the pick is wrong although a right candidate exists; the run gave it 80 % or more" },
  { key: "hopeless", label: "no right candidate", short: "none right", mark: "–", say: "no candidate is right: no test could have helped" },
  { key: "likely", label: "likely right", short: "likely", mark: "◕", say: "no label; the run gave its pick a chance of 80 % or more" },
  { key: "unclear", label: "unclear", short: "unclear", mark: "◑", say: "no label; the run gave its pick a chance of 50 to 80 %" },
  { key: "unlikely", label: "likely wrong", short: "doubtful", mark: "◔", say: "no label; the run gave its pick a chance below 50 %" },
  { key: "none", label: "no candidate", short: "no pick", mark: "·", say: "the problem has no candidates, or is not part of this run" },
];
const OUTCOME = new Map(OUTCOMES.map((o) => [o.key, o]));
export const SURE = 0.8;

export function outcomeKey(run: Run, i: number): OutcomeKey {
  const acc = run.cols.acc?.[i], p = run.cols.p?.[i];
  if (p == null) return "none";
  if (acc == null) return p >= SURE ? "likely" : p >= 0.5 ? "unclear" : "unlikely";
  if (run.cols.right[i] === 0) return "hopeless";
  const sure = p >= SURE;
  if (acc > 0.999) return sure ? "sure-right" : "unsure-right";
  if (acc < 0.001) return sure ? "sure-wrong" : "unsure-wrong";
  return "tied";
}
export const outcome = (run: Run, i: number) => OUTCOME.get(outcomeKey(run, i))!;
// What runs are compared by.
export const fate = (run: Run, i: number) => outcome(run, i).short;
export const settled = (run: Run, i: number) => (run.cols.p[i] ?? 0) >= SURE || !!run.cols.harmful[i];

export type Filter = { key: string; label: string; say: string; test: (index: Index, run: Run, i: number) => boolean };
const has = (name: keyof Columns) => (_: Index, run: Run, i: number) => !!run.cols[name]?.[i];
export const FILTERS: Filter[] = [
  ...OUTCOMES.filter((o) => o.key !== "none").map((o) => ({ key: o.key as string, label: o.label, say: o.say, test: (_: Index, run: Run, i: number) => outcomeKey(run, i) === o.key })),
  { key: "differs", label: "runs differ", say: "the runs do not agree on whether the pick is right", test: (index, _, i) => new Set(index.runs.filter((r) => r.cols.p[i] != null).map((r) => fate(r, i))).size > 1 },
  { key: "unsettled", label: "unsettled", say: "the pick's chance is below 80 %, and further tests would not harm it", test: (_, run, i) => run.cols.p[i] != null && !settled(run, i) },
  { key: "harm", label: "more tests may harm", say: "further tests are likelier to make the pick worse than better", test: has("harmful") },
  { key: "novote", label: "no usable test", say: "tests were paid for but none of them votes", test: (_, run, i) => !!run.cols.tests[i] && !run.cols.voting[i] },
  { key: "nonepass", label: "pick passes no test", say: "the pick passes none of its tests: chosen by its outputs alone", test: (_, run, i) => !!run.cols.voting[i] && run.cols.passed[i] === 0 },
  { key: "unconfirmed", label: "unconfirmed verdicts", say: "a pass that the candidate could have forged counts as no pass", test: (_, run, i) => !!run.cols.ver[i]?.[6] },
  { key: "cut", label: "pairs cut off", say: "pairs were ended before their full limit, since their verdict no longer mattered", test: has("cut") },
  { key: "noprogram", label: "answers without a program", say: "answers of the model in which no program was found", test: has("noprogram") },
  { key: "abstained", label: "abstained", say: "the pick's chance is below the job's threshold", test: has("abstained") },
  { key: "quarantined", label: "given up by the infrastructure", say: "its work failed again and again for reasons that are no verdict", test: (_, run, i) => run.cols.closed[i] === "quarantined" },
];
export const countOf = (index: Index, run: Run, f: Filter) => run.own.reduce((sum, i) => sum + +f.test(index, run, i), 0);

export const UNITS: Record<string, string> = { tests: "tests", tokens: "tokens", executions: "executions", cpu_seconds: "CPU-seconds", gpu_seconds: "GPU-seconds", usd: "US dollars", prompt_tokens: "prompt tokens" };
export const CLOSED: Record<string, string> = { cap: "no further test fitted under the cap", max_tests: "they had all tests that a problem may get", harmful: "more tests would have harmed the pick", quarantined: "the infrastructure failed on them", no_program: "no candidate holds a program", none: "the policy granted no more" };
export const labelled = (run: Run) => run.labelled > 0 && run.acc != null;
export const headline = (run: Run) => (labelled(run) ? run.acc : run.estimated);

export const pct = (x: Maybe | undefined, digits = 1) => (x == null ? "–" : `${(100 * x).toFixed(digits)}\u00a0%`);
export const points = (x: Maybe, digits = 1) => (x == null ? "–" : `${x < 0 ? "−" : "+"}${Math.abs(100 * x).toFixed(digits)}`);
export const amount = (x: Maybe | undefined) => (x == null ? "unknown" : x.toLocaleString("en", x < 100 && !Number.isInteger(x) ? { minimumFractionDigits: 1, maximumFractionDigits: x < 1 ? 4 : 1 } : { maximumFractionDigits: 0 }));
export const plural = (n: number, one: string, many = one + "s") => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
export const sum = (values: (Maybe | undefined)[]) => values.reduce<number>((a, b) => a + (b ?? 0), 0);
export function duration(seconds: number): string {
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
