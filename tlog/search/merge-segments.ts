import { NameRowsWriter } from '../index/name-rows.ts';
import { PagedFileWriter } from '../index/paged-file.ts';
import { SortedRowsWriter } from '../index/sorted-rows.ts';
import { type SearchSegmentName, TimesWriter } from './search-builder.ts';
import { SearchSegment } from './search-segment.ts';

/** Rows that are merged at a stretch: less than a millisecond. */
const STRETCH_ROWS = 4096;

/**
 * Merges the files of neighbouring segments, in their order, into one. A generator, so that whoever runs it decides when to
 * pause; ended early it leaves nothing behind. Throws DamagedFile if one of them is damaged, and what the file system says.
 */
export function* mergeSegments(paths: readonly string[], path: string, segment: SearchSegmentName): Generator<void> {
  const opened: SearchSegment[] = [];
  let writer: PagedFileWriter | undefined;
  let finished = false;
  try {
    // Files of its own, as a reader keeps the page that it read last.
    for (const part of paths) opened.push(new SearchSegment(part));
    writer = new PagedFileWriter(path, Math.random);
    yield* mergeRows(opened, writer, segment.start);
    yield* mergeNames(opened, writer, segment.start);
    const times = new TimesWriter(writer);
    let count = 0;
    for (const part of opened) {
      for (let place = 0; place < part.end - part.start; place++) {
        times.add(part.times.at(place));
        if (++count % STRETCH_ROWS === 0) yield;
      }
    }
    times.end();
    writer.finish({ ...segment }, 'not synced');
    finished = true;
  } finally {
    for (const part of opened) part.close();
    if (writer && !finished) writer.abandon();
  }
}

function* mergeRows(parts: readonly SearchSegment[], writer: PagedFileWriter, start: number): Generator<void> {
  const cursors = parts.map((part) => ({ part, row: 0, offset: part.start - start, now: new Uint32Array(3) }));
  for (const cursor of cursors) if (cursor.part.rows.count > 0) cursor.part.rows.copy(0, cursor.now);
  let left = cursors.filter(({ part }) => part.rows.count > 0);
  const merged = new SortedRowsWriter(writer, 'rows');
  for (let count = 1; left.length > 0; count++) {
    let least = left[0] as (typeof left)[number];
    for (let i = 1; i < left.length; i++) {
      const other = left[i] as typeof least;
      // Of equal keys the first part's, whose places are lower.
      const order =
        (other.now[0] as number) - (least.now[0] as number) || (other.now[1] as number) - (least.now[1] as number);
      if (order < 0) least = other;
    }
    merged.add(least.now[0] as number, least.now[1] as number, (least.now[2] as number) + least.offset);
    if (++least.row < least.part.rows.count) least.part.rows.copy(least.row, least.now);
    else left = left.filter((cursor) => cursor !== least);
    if (count % STRETCH_ROWS === 0) yield;
  }
  merged.end();
}

function* mergeNames(parts: readonly SearchSegment[], writer: PagedFileWriter, start: number): Generator<void> {
  const cursors = parts.map((part) => {
    const names = part.names.names();
    return { places: part.names.places, offset: part.start - start, names, now: names.next().value };
  });
  const merged = new NameRowsWriter(writer, 'names');
  let count = 0;
  for (;;) {
    let least: Uint8Array | undefined;
    for (const { now } of cursors) if (now && (!least || Buffer.compare(now.name, least) < 0)) least = now.name;
    if (!least) break;
    merged.begin(least);
    for (const cursor of cursors) {
      const { now, places, offset } = cursor;
      if (!now || Buffer.compare(now.name, least) !== 0) continue;
      for (let i = now.first; i < now.end; i++) {
        merged.place(places.at(i) + offset);
        if (++count % STRETCH_ROWS === 0) yield;
      }
      cursor.now = cursor.names.next().value;
    }
    if (++count % STRETCH_ROWS === 0) yield;
  }
  merged.end();
}
