// Parsers with a fault that is known, as real ones had it: what the fuzzers must find, or they find nothing.
import { contextTag, DerReader, TAG } from '../../core/asn1/der.ts';
import { parseBundle } from '../../core/bundle/bundle.ts';
import { Fields } from '../../core/bytes/fields.ts';
import { parseJson } from '../../core/bytes/json.ts';
import { parseNote } from '../../core/merkle/note.ts';
import { isJwt } from '../../core/sign/identity-token.ts';
import type { Parser } from './parsers.ts';
import { requireSame } from './properties.ts';
import * as seeds from './seeds.ts';

const text = (input: Uint8Array): string => Buffer.from(input).toString();

export const PLANTED: Readonly<Record<string, Parser>> = {
  'a claim that has no text': {
    shape: 'token',
    seeds: seeds.identityTokens,
    parse(input) {
      if (!isJwt(text(input))) return;
      const claims = new Fields(
        parseJson(Buffer.from(text(input).split('.')[1] ?? '', 'base64url')),
        '',
        'FIELD_INVALID',
      );
      claims.string('iss');
      String(claims.json('email_verified'));
    },
  },
  'base64 that is read as JavaScript reads it': {
    shape: 'text',
    seeds: seeds.checkpoints,
    parse(input) {
      const [head = '', base64 = ''] = text(input).split(/(?<=\n— \S+ )(?=\S+\n$)/);
      parseNote(`${head}AAAAAAA=\n`);
      requireSame('the signature', `${Buffer.from(base64, 'base64').toString('base64')}\n`, base64);
    },
  },
  'a number that is taken for one': {
    shape: 'json',
    seeds: seeds.bundles,
    parse(input) {
      parseBundle(input);
      const { verificationMaterial: material } = JSON.parse(text(input));
      for (const entry of material.tlogEntries) BigInt(entry.integratedTime);
    },
  },
  'an optional element that is taken for granted': {
    shape: 'der',
    seeds: seeds.certificates,
    parse(input) {
      const certificate = new DerReader(input).sequence();
      const fields = certificate.sequence();
      fields.optional(contextTag(0));
      fields.integerBytes();
      for (let i = 0; i < 5; i++) fields.element();
      const extensions = fields.optionalConstructed(contextTag(3))?.sequence();
      while (extensions !== undefined && !extensions.done) {
        const extension = extensions.sequence();
        extension.oid();
        extension.optional(TAG.boolean);
        (extension.optional(TAG.octetString) as Uint8Array).slice();
      }
    },
  },
};
