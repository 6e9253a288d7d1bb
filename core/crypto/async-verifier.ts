import { verify } from 'node:crypto';
import { StorageError } from '../errors.ts';
import {
  MAX_PENDING_VERIFICATION_BYTES,
  MAX_PENDING_VERIFICATION_MICROSECONDS,
  VERIFICATION_TURN_MICROSECONDS,
} from '../limits.ts';
import type { CurveKind } from './curves.ts';
import { type DigestCheck, SHIFTED_HASH, shiftKeys } from './ecdsa-digest.ts';
import { parseEcdsaSignature } from './ecdsa-signature.ts';
import { isValidEd25519phSignature } from './ed25519.ts';
import { DIGEST_BYTES, type HashName } from './hash.ts';
import { isEcdsaKey, type PublicKey } from './public-key.ts';
import { isValidRsaDigestSignature } from './rsa-digest.ts';
import { isWellFormedSignature, nativeHash } from './verify.ts';

/**
 * Judges as `isValidSignature` and `isValidDigestSignature` do, for servers: on all cores, and without holding the event loop.
 * Rejects with OVERLOADED when too much waits; then nothing was verified.
 */
export interface AsyncVerifier {
  isValidSignature(key: PublicKey, hash: HashName, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  isValidDigestSignature(key: PublicKey, hash: HashName, digest: Uint8Array, signature: Uint8Array): Promise<boolean>;
  /**
   * Does work whose checks cost at most so many microseconds: they count together from the beginning, not each when its turn comes,
   * so what begins is not refused half way. `work` gets the verifier for them.
   */
  together<T>(microseconds: number, work: (verifier: SignatureChecks) => Promise<T>): Promise<T>;
}

/** A verifier whose checks were counted before. */
export type SignatureChecks = Pick<AsyncVerifier, 'isValidSignature' | 'isValidDigestSignature'>;

/** What one verification costs at most, in microseconds of a slow core: on the event loop, and on the thread pool. */
const COSTS: Record<PublicKey['kind'], { readonly here: number; readonly pool: number }> = {
  p256: { here: 30, pool: 80 },
  p384: { here: 700, pool: 700 },
  p521: { here: 1600, pool: 1600 },
  // 400 µs is what 8192 bits take; 2048 bits take 25.
  rsa: { here: 400, pool: 400 },
  // Here: Ed25519ph, which no thread can do. Pool: Ed25519.
  ed25519: { here: 1500, pool: 100 },
};
/** What a check with this key costs at most, in microseconds, the message's hash apart. */
export const verificationCost = ({ kind }: PublicKey): number => COSTS[kind].here + COSTS[kind].pool;

/** Bytes that are hashed in a microsecond, with room. */
const HASHED_BYTES = 1000;

interface Task {
  readonly cost: number;
  readonly answer: PromiseWithResolvers<boolean>;
}

/** An ECDSA key to shift, which is cheaper in company. */
interface EcdsaTask extends Task, DigestCheck {
  readonly der: Uint8Array;
}

/** What the event loop does alone. */
interface JudgeTask extends Task {
  readonly judge: () => boolean;
}

/** A verifier that owns a queue of work for the event loop and a bound, in microseconds, on all that is under way. */
export function createAsyncVerifier(maxPending = MAX_PENDING_VERIFICATION_MICROSECONDS): AsyncVerifier {
  const waiting: (EcdsaTask | JudgeTask)[] = [];
  let pendingCost = 0;
  let pendingBytes = 0;
  let running = false;

  async function within<T>(cost: number, bytes: number, work: () => Promise<T>): Promise<T> {
    const tooMuch = pendingCost + cost > maxPending || pendingBytes + bytes > MAX_PENDING_VERIFICATION_BYTES;
    if (tooMuch && pendingCost > 0) {
      throw new StorageError('OVERLOADED', 'too many signatures wait to be verified', {
        hint: 'try again in a second',
      });
    }
    pendingCost += cost;
    pendingBytes += bytes;
    try {
      return await work();
    } finally {
      pendingCost -= cost;
      pendingBytes -= bytes;
    }
  }

  function enqueue(task: EcdsaTask | JudgeTask): Promise<boolean> {
    waiting.push(task);
    if (!running) {
      running = true;
      setImmediate(runTurn);
    }
    return task.answer.promise;
  }

  // What has gathered, up to one turn's worth; then the event loop has its turn.
  function runTurn(): void {
    let spent = 0;
    let taken = 0;
    while (taken < waiting.length && (taken === 0 || spent < VERIFICATION_TURN_MICROSECONDS)) {
      spent += (waiting[taken] as Task).cost;
      taken++;
    }
    const turn = waiting.splice(0, taken);
    for (const task of turn) if ('judge' in task) settle(task.answer, task.judge);
    for (const kind of ['p256', 'p384', 'p521'] as const) {
      const tasks = turn.filter((task) => 'key' in task && task.key.kind === kind) as EcdsaTask[];
      if (tasks.length > 0) verifyShifted(kind, tasks);
    }
    running = waiting.length > 0;
    if (running) setImmediate(runTurn);
  }

  const checks = (counted: typeof within): SignatureChecks => ({
    async isValidSignature(key, hash, message, signature) {
      if (!isWellFormedSignature(key, signature)) return false;
      const cost = COSTS[key.kind].pool + Math.ceil(message.length / HASHED_BYTES);
      return counted(cost, message.length, () => verifyOnPool(nativeHash(key, hash), message, key.native, signature));
    },

    async isValidDigestSignature(key, hash, digest, signature) {
      if (digest.length !== DIGEST_BYTES[hash]) return false;
      const { here, pool } = COSTS[key.kind];
      const answer = Promise.withResolvers<boolean>();
      if (isEcdsaKey(key)) {
        const numbers = parseEcdsaSignature(key.kind, signature);
        if (numbers === undefined) return false;
        const task = { cost: here, key, digest, signature: numbers, der: signature, answer };
        return counted(here + pool, 0, () => enqueue(task));
      }
      const judge =
        key.kind === 'rsa'
          ? () => isValidRsaDigestSignature(key, hash, digest, signature)
          : () => hash === 'sha512' && isValidEd25519phSignature(key, digest, signature);
      return counted(here, 0, () => enqueue({ cost: here, judge, answer }));
    },
  });

  return {
    ...checks(within),
    together: (cost, work) => within(cost, 0, () => work(checks((_cost, _bytes, check) => check()))),
  };
}

function verifyOnPool(
  hash: HashName | null,
  message: Uint8Array,
  key: PublicKey['native'],
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(hash, message, key, signature, (error, valid) => (error ? reject(error) : resolve(valid)));
  });
}

function verifyShifted(kind: CurveKind, tasks: readonly EcdsaTask[]): void {
  try {
    for (const [i, { key, message }] of shiftKeys(kind, tasks).entries()) {
      const { der, answer } = tasks[i] as EcdsaTask;
      verifyOnPool(SHIFTED_HASH, message, key, der).then(answer.resolve, answer.reject);
    }
  } catch (error) {
    for (const { answer } of tasks) answer.reject(error);
  }
}

function settle(answer: PromiseWithResolvers<boolean>, judge: () => boolean): void {
  try {
    answer.resolve(judge());
  } catch (error) {
    answer.reject(error);
  }
}
