// Changes of DER that keep the rest of it well-formed, so that they reach what lies behind the first length.
import { MAX_INPUT_BYTES, mutateBytes } from './mutate-bytes.ts';
import type { Random } from './random.ts';

/** An element: its content, or the elements within; `wrapped` is what comes before them in a BIT STRING. */
interface Element {
  tag: number;
  content: Uint8Array;
  children: Element[] | undefined;
  wrapped: Uint8Array;
  /** Written in place of the right length. */
  length?: Uint8Array;
}

const TAGS = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1f, 0x24, 0x30, 0x31, 0x80, 0x82, 0xa0,
  0xa1, 0xa3, 0xbf,
];
const MAX_ELEMENTS = 4000;
/** Above the reader's own limit of levels. */
const DEEP = 40;

export function mutateDer(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const roots = readElements(input, 0);
  if (roots === undefined || roots.length === 0) return mutateBytes(input, other, random);
  for (let times = 1 + random.below(3); times > 0; times--) changeOnce(roots, other, random);
  return Buffer.concat(roots.map(write)).subarray(0, MAX_INPUT_BYTES);
}

function changeOnce(roots: Element[], other: Uint8Array, random: Random): void {
  if (roots.length === 0) return;
  const list = random.pick(listsOf(roots));
  const at = random.below(list.length);
  const element = list[at];
  if (element === undefined) return;
  const donor = (): Element => {
    const all = [...listsOf(random.oneIn(2) ? roots : (readElements(other, 0) ?? [])).flat(), element];
    return structuredClone(random.pick(all));
  };
  switch (random.below(11)) {
    case 0:
      element.tag = random.pick(TAGS);
      return;
    case 1:
      element.content = mutateBytes(contentOf(element), other.subarray(0, 256), random);
      element.children = undefined;
      element.wrapped = new Uint8Array();
      return;
    case 2:
      list.splice(at, 1);
      return;
    case 3:
      list.splice(at, 0, structuredClone(element));
      return;
    case 4:
      list[at] = donor();
      return;
    case 5:
      list.splice(at, 0, donor());
      return;
    case 6:
      element.length = wrongLength(element, random);
      return;
    case 7:
      if (!random.oneIn(4)) return;
      for (let depth = 1 + random.below(DEEP); depth > 0; depth--) {
        list[at] = { tag: 0x30, content: new Uint8Array(), children: [list[at] as Element], wrapped: new Uint8Array() };
      }
      return;
    case 8: {
      if (!random.oneIn(20)) return;
      const size = Math.max(2, write(element).length);
      const times = Math.min(MAX_ELEMENTS, Math.floor((random.oneIn(4) ? MAX_INPUT_BYTES : 60_000) / size));
      list.splice(at, 0, ...Array.from({ length: times }, () => structuredClone(element)));
      return;
    }
    case 9:
      // Long content of one element: numbers, names, times, bit strings.
      if (!random.oneIn(10)) return;
      element.children = undefined;
      element.wrapped = new Uint8Array();
      element.content = new Uint8Array(1 + random.below(random.oneIn(4) ? MAX_INPUT_BYTES : 60_000)).fill(
        random.pick([0x00, 0x01, 0x31, 0x41, 0x7f, 0x81, 0xff]),
      );
      return;
    default:
      element.content = integerLike(random);
      element.children = undefined;
      element.wrapped = new Uint8Array();
  }
}

function integerLike(random: Random): Uint8Array {
  const length = random.below(10);
  return Uint8Array.from({ length }, () => random.pick([0x00, 0x00, 0x01, 0x7f, 0x80, 0xff]));
}

function wrongLength(element: Element, random: Random): Uint8Array {
  const right = contentOf(element).length;
  const wrong = Math.max(0, right + random.pick([-1, 1, -2, 2, 127, 0x7fffff]));
  return random.pick([
    Uint8Array.of(0x80),
    Uint8Array.of(0x81, right & 0xff),
    Uint8Array.of(0x82, right >> 8, right & 0xff),
    Uint8Array.of(0x84, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0x88, 0, 0, 0, 0, 0, 0, 0, right & 0xff),
    Uint8Array.of(0xff),
    lengthOf(wrong),
  ]);
}

/** The lists of siblings, each with one element at least. */
function listsOf(elements: Element[]): Element[][] {
  if (elements.length === 0) return [];
  return [elements, ...elements.flatMap(({ children }) => (children === undefined ? [] : listsOf(children)))];
}

/** All elements of the bytes, undefined if they are none. Strings of bytes that hold elements are opened. */
function readElements(bytes: Uint8Array, depth: number): Element[] | undefined {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [tag, first] = bytes.subarray(at, at + 2);
    if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f || depth > DEEP) return undefined;
    let start = at + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 3) return undefined;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[start++] ?? 0);
    }
    if (start + length > bytes.length) return undefined;
    const content = bytes.subarray(start, start + length);
    elements.push({ tag, content, ...openedContent(tag, content, depth) });
    if (elements.length > MAX_ELEMENTS) return undefined;
    at = start + length;
  }
  return elements;
}

function openedContent(tag: number, content: Uint8Array, depth: number): Pick<Element, 'children' | 'wrapped'> {
  const wrapped = tag === 0x03 ? content.subarray(0, 1) : new Uint8Array();
  const mayHold = (tag & 0x20) !== 0 || ((tag === 0x03 || tag === 0x04) && content.length > 4);
  const children = mayHold ? readElements(content.subarray(wrapped.length), depth + 1) : undefined;
  return children === undefined || children.length === 0
    ? { children: undefined, wrapped: new Uint8Array() }
    : { children, wrapped };
}

const contentOf = ({ content, children, wrapped }: Element): Uint8Array =>
  children === undefined ? content : Buffer.concat([wrapped, ...children.map(write)]);

function write(element: Element): Uint8Array {
  const content = contentOf(element);
  return Buffer.concat([Uint8Array.of(element.tag), element.length ?? lengthOf(content.length), content]);
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  if (length < 0x10000) return Uint8Array.of(0x82, length >> 8, length & 0xff);
  return Uint8Array.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}
