/** Version, commit and target, set by the build; running from source they say so. */
declare const HALLMARK_VERSION: string | undefined;
declare const HALLMARK_COMMIT: string | undefined;
declare const HALLMARK_TARGET: string | undefined;

export const VERSION = typeof HALLMARK_VERSION === 'string' ? HALLMARK_VERSION : '0.0.0';
const COMMIT = typeof HALLMARK_COMMIT === 'string' ? HALLMARK_COMMIT : 'source';
const TARGET = typeof HALLMARK_TARGET === 'string' ? HALLMARK_TARGET : 'uncompiled';

/** One line: `hallmark 0.1.0 (commit 1234567, linux-x64)`. */
export const versionLine = (): string => `hallmark ${VERSION} (commit ${COMMIT}, ${TARGET})`;
