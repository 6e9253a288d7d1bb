// Every change of one bundle that needs no key.
import type { Json } from '../../core/bytes/json.ts';
import { flipsOf } from './flips.ts';
import { leavesOf, type Path, placesOf, valueAt, withValue } from './paths.ts';
import type { JsonObject, Subject } from './subjects.ts';
import type { Change } from './uncovered.ts';

export function* flippedBundles(subject: Subject): Generator<Change> {
  for (const leaf of leavesOf(subject.json)) {
    for (const { at, value } of flipsOf(leaf)) {
      const text = JSON.stringify(withValue(subject.json, leaf.path, value));
      yield { kind: 'flip', subject, path: leaf.path, at, text };
    }
  }
}

/** Each field left out, written twice, repeated in its list, or joined by one that is not known. */
export function* restructuredBundles(subject: Subject): Generator<Change> {
  const { json } = subject;
  for (const path of placesOf(json)) {
    const change = { subject, path, at: 0 };
    const value = valueAt(json, path) as Json;
    yield { ...change, kind: 'drop', text: JSON.stringify(withValue(json, path, undefined)) };
    if (typeof path.at(-1) === 'number') {
      const list = valueAt(json, path.slice(0, -1)) as Json[];
      yield { ...change, kind: 'double', text: JSON.stringify(withValue(json, path.slice(0, -1), [...list, value])) };
    } else {
      yield { ...change, kind: 'duplicate member', text: withMemberTwice(json, path) };
    }
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      const text = JSON.stringify(withValue(json, [...path, 'unknownField'], 'AA=='));
      yield { ...change, kind: 'unknown member', text };
    }
  }
}

function withMemberTwice(json: Json, path: Path): string {
  const marked = withValue(json, [...path.slice(0, -1), '%twice%'], valueAt(json, path));
  return JSON.stringify(marked).replace('"%twice%"', JSON.stringify(path.at(-1)));
}

/** Each field that another bundle has too, with the other's value. A bundle of the same signature is not another. */
export function* swappedBundles(subject: Subject, donors: readonly JsonObject[]): Generator<Change> {
  const own = signatureOf(subject.json);
  for (const donor of donors) {
    if (signatureOf(donor) === own) continue;
    for (const path of placesOf(subject.json)) {
      const value = valueAt(donor, path);
      if (value === undefined || JSON.stringify(value) === JSON.stringify(valueAt(subject.json, path))) continue;
      yield { kind: 'swap', subject, path, at: 0, text: JSON.stringify(withValue(subject.json, path, value)) };
    }
  }
}

const signatureOf = (json: Json): Json | undefined =>
  valueAt(json, ['messageSignature', 'signature']) ?? valueAt(json, ['dsseEnvelope', 'signatures', 0, 'sig']);
