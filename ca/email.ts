/**
 * True for an address that fits an rfc822Name (RFC 5280 §4.2.1.6: ASCII mailbox without comments): the grammar of HTML's
 * e-mail fields, at most 254 characters (RFC 5321 §4.5.3.1.3).
 */
export function isEmailAddress(text: string): boolean {
  return (
    text.length <= 254 &&
    /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/.test(
      text,
    )
  );
}
