import { describe, expect, test } from 'bun:test';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import { HallmarkError } from '../../core/errors.ts';
import { mutate } from './mutate.ts';
import { PLANTED } from './planted.ts';
import { randomOf } from './random.ts';

/** A few seconds' worth of inputs. */
const MOST = 50_000;

describe.if(sharedPath('corpus') !== undefined)('the fuzzers find', () => {
  test.each(Object.entries(PLANTED))(
    '%s',
    (_, parser) => {
      const inputs = parser.seeds();
      const isFault = (input: Uint8Array): boolean => {
        try {
          parser.parse(input);
          return false;
        } catch (error) {
          return !(error instanceof HallmarkError);
        }
      };
      const sound = inputs.filter((input) => !isFault(input));
      expect(sound.length).toBeGreaterThan(0);
      let found: number | undefined;
      for (let i = 0; i < MOST && found === undefined; i++) {
        if (isFault(mutate(parser.shape, sound, randomOf(1, i)))) found = i;
      }
      expect(found).toBeDefined();
    },
    60_000,
  );
});
