// Makes every change of its share of the bundles and prints, as one line of JSON, what became of them. The shares of the two
// runs together are everything: `bun .ci/mutation/mutate.ts 0/2` and `1/2`.
import { serializeBundle } from '../../core/bundle/bundle.ts';
import { parseJson } from '../../core/bytes/json.ts';
import { flippedBundles, restructuredBundles, swappedBundles } from './changes.ts';
import { signWithOwnStack } from './own-stack.ts';
import { nameOf } from './paths.ts';
import { genuineBodies, sealedBodies, sealedCheckpoints, sealers } from './sealed.ts';
import { corpusSubjects, inEveryVersion, type JsonObject, outcomeOf, type Subject } from './subjects.ts';
import { type Change, UNCOVERED } from './uncovered.ts';

export interface Report {
  /** Bundles as `version kind dialect signer`. */
  readonly subjects: string[];
  /** How many changes of each kind were made. */
  readonly tried: Record<string, number>;
  /** How many were accepted, by the line of the list that says why. */
  readonly uncovered: Record<string, number>;
  /** Accepted without a reason, or rejected with an error that is not ours. */
  readonly faults: string[];
}

const [share = 0, shares = 1] = (process.argv[2] ?? '0/1').split('/').map(Number);
const isMine = (_: unknown, i: number): boolean => i % shares === share;

const report: Report = { subjects: [], tried: {}, uncovered: {}, faults: [] };
const count = (counts: Record<string, number>, name: string): void => {
  counts[name] = (counts[name] ?? 0) + 1;
};

function judge(changes: Iterable<Change>): void {
  for (const change of changes) {
    count(report.tried, change.kind);
    const outcome = outcomeOf(change.text, change.subject.options);
    if (outcome === 'rejected') continue;
    const reason = outcome === 'accepted' ? UNCOVERED.find((each) => each.covers(change)) : undefined;
    if (reason !== undefined) count(report.uncovered, reason.what);
    else
      report.faults.push(`${change.subject.name}: ${change.kind} ${nameOf(change.path)} at ${change.at}: ${outcome}`);
  }
}

const stack = await signWithOwnStack();
const corpus = corpusSubjects();
const own = stack.bundles.filter(({ changed }) => changed).flatMap(inEveryVersion);
const donors = stack.bundles.map(({ bundle }) => parseJson(serializeBundle(bundle)) as JsonObject);
const foreign = corpus.map(({ json }) => json);

function changeAll(subjects: readonly Subject[], others: readonly JsonObject[]): void {
  for (const subject of subjects) {
    report.subjects.push(`${subject.version} ${subject.kind} v${subject.dialect} ${subject.signer}`);
    judge(flippedBundles(subject));
    judge(restructuredBundles(subject));
    judge(swappedBundles(subject, others));
  }
}
// Those of other implementations take longer, so both shares get some of each.
changeAll(corpus.filter(isMine), foreign);
changeAll(own.filter(isMine), donors);

for (const sealer of sealers(stack).filter(isMine)) {
  for (const { name, text, subject } of genuineBodies(sealer)) {
    const outcome = outcomeOf(text, subject.options);
    if (outcome !== 'accepted') report.faults.push(`${name} as it is: ${outcome}`);
  }
  judge(sealedBodies(sealer));
  judge(sealedCheckpoints(sealer));
}

console.log(JSON.stringify(report));
