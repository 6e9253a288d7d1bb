import { StorageError } from '../errors.ts';
import { LARGE_ANSWER_BYTES } from '../limits.ts';
import type { Reservation } from './admission.ts';
import type { Peer } from './front-end.ts';

/**
 * An answer in pieces, of which the next is made when the client has read the last: one that does not read holds one piece.
 * `pieces` is ended when the client goes. A later piece for which there is no room breaks the answer off. Errors: OVERLOADED,
 * and those of the first piece.
 */
export async function answerInPieces(
  peer: Peer,
  pieces: AsyncIterator<Uint8Array>,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const first = await pieces.next();
  if (first.done) return new Response(null, { headers });
  const reservation = requireRoom(peer, first.value.length);
  let next: IteratorResult<Uint8Array> | undefined = first;
  async function end(): Promise<void> {
    reservation?.release();
    await pieces.return?.();
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const piece = next ?? (await pieces.next());
          next = undefined;
          if (piece.done) {
            reservation?.release();
            return controller.close();
          }
          if (reservation?.resize(piece.value.length) === false) throw full();
          controller.enqueue(piece.value);
        } catch (error) {
          await end();
          controller.error(error);
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers });
}

/** An answer that says its length, if that is large, counts as memory until the client has read it. Errors: OVERLOADED. */
export async function withinBudget(peer: Peer, response: Response): Promise<Response> {
  const bytes = Number(response.headers.get('content-length'));
  if (bytes < LARGE_ANSWER_BYTES) return response;
  const reservation = requireRoom(peer, bytes);
  if (!reservation) return response;
  const content = new Uint8Array(await response.arrayBuffer());
  response.headers.delete('content-length');
  let at = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(content.subarray(at, at + LARGE_ANSWER_BYTES));
        at += LARGE_ANSWER_BYTES;
        if (at < content.length) return;
        reservation.release();
        controller.close();
      },
      cancel: () => reservation.release(),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, response);
}

function requireRoom({ reserveAnswer }: Peer, bytes: number): Reservation | undefined {
  if (!reserveAnswer) return undefined;
  const reservation = reserveAnswer(bytes);
  if (!reservation) throw full();
  return reservation;
}

const full = (): StorageError =>
  new StorageError('OVERLOADED', 'too many large answers wait to be read', { hint: 'try again in a second' });
