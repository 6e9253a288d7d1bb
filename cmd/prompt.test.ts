import { expect, test } from 'bun:test';
import { passwordLine } from './prompt.ts';

test('a password in pieces', () => {
  const line = passwordLine();
  expect(line('se')).toBeUndefined();
  expect(line('cret\r')).toEqual({ password: 'secret' });
});

test('backspace, Ctrl-U, Ctrl-C and Ctrl-D', () => {
  expect(passwordLine()('sx\u007fecret\n')).toEqual({ password: 'secret' });
  expect(passwordLine()('wrong\u0015secret\n')).toEqual({ password: 'secret' });
  expect(passwordLine()('sec\u0003')).toBe('cancelled');
  expect(passwordLine()('\u0004')).toBe('cancelled');
});

test('the empty password is one', () => {
  expect(passwordLine()('\r')).toEqual({ password: '' });
});
