/** Every bound on outside input: name, unit and the reason for its value. Reaching one is an InputError. */

// ── JSON, files and what services answer ──

/** Levels of JSON nesting. Sigstore documents need 12; CycloneDX predicates nest to about 40. */
export const MAX_JSON_DEPTH = 128;
/** Members and elements of one JSON document together: the largest statements have one for every 30 bytes of their 16 MiB. */
export const MAX_JSON_MEMBERS = 1_000_000;
/** Bytes of a key or certificate file in PEM. */
export const MAX_KEY_FILE_BYTES = 1024 * 1024;
/** Bytes of a list of files to verify: a million names. */
export const MAX_FILE_LIST_BYTES = 64 * 1024 * 1024;
/** Bytes of one service's answer: a log entry with a 16 MiB body and its proof at most. */
export const MAX_SERVICE_ANSWER_BYTES = 32 * 1024 * 1024;
/** Bytes of an answer that is an error: a sentence, or a page of some proxy. */
export const MAX_ERROR_ANSWER_BYTES = 1024 * 1024;

// ── Keys, certificates, CMS, timestamps ──

/** Iterations that turn a password into the key of a private key file: seconds of work. Advice for PBKDF2 is 600,000. */
export const MAX_KEY_DERIVATION_ITERATIONS = 10_000_000;
/** Bits of an RSA modulus: below is weak (SP 800-131A), above costs a verifier milliseconds for every signature. */
export const MIN_RSA_BITS = 2048;
export const MAX_RSA_BITS = 8192;
/** RSA public exponent, odd: FIPS 186-5 §5.1 from below, Go's crypto/rsa from above. */
export const MIN_RSA_EXPONENT = 65_537n;
export const MAX_RSA_EXPONENT = 2n ** 31n - 1n;
/** Levels of DER nesting. CMS with certificates needs about 12. */
export const MAX_DER_DEPTH = 32;
/** Arcs of an object identifier; real ones stay under 16. */
export const MAX_OID_ARCS = 32;
/** Bits of one arc: those made of a UUID have 128 (X.667), all others fit in 32. */
export const MAX_OID_ARC_BITS = 128n;
/** Bytes of one certificate in DER. Fulcio's are under 2 KiB; TSA roots under 3 KiB. */
export const MAX_CERTIFICATE_BYTES = 64 * 1024;
/** Certificates in one chain. Real chains have two or three. */
export const MAX_CHAIN_CERTIFICATES = 10;
/** Authorities that are tried as issuers to find one chain. A straight chain tries one for each of its certificates. */
export const MAX_CHAIN_CANDIDATES = 32;
/** SCTs in one certificate. Fulcio embeds one, browsers ask for two or three. */
export const MAX_SCTS = 16;
/** Bytes of a CMS message apart from timestamps: a git signature with its log entry is under 16 KiB. */
export const MAX_CMS_BYTES = 1024 * 1024;
/** Signers of one CMS message. Git's and timestamps have one. */
export const MAX_CMS_SIGNERS = 4;
/** Attributes of one CMS signer. Real ones have three to six. */
export const MAX_CMS_ATTRIBUTES = 32;
/** Certificates in one CMS message: a chain and cross-certificates. */
export const MAX_CMS_CERTIFICATES = 16;
/** Bytes of one RFC 3161 response with its certificates. */
export const MAX_TIMESTAMP_BYTES = 256 * 1024;
/** Bytes of a timestamp request: the reference server's cap. */
export const MAX_TIMESTAMP_REQUEST_BYTES = 1024 * 1024;
/** Bytes of a timestamp's nonce. Clients send 8 to 20; it is echoed. */
export const MAX_NONCE_BYTES = 64;
/** Bytes of a timestamp's serial number with its sign: RFC 3161 §2.4.2 asks for 160 bits. */
export const MAX_TIMESTAMP_SERIAL_BYTES = 21;

// ── Bundles and statements ──

/** Bytes of a bundle. The largest real ones carry 16 MiB attestations (GitHub's cap); base64 adds a third. */
export const MAX_BUNDLE_BYTES = 32 * 1024 * 1024;
/** The same of a bundle, without its payload: MAX_TLOG_ENTRIES with full proofs have 5,000. What is more is refused half read. */
export const MAX_BUNDLE_MEMBERS = 10_000;
/** Log entries in one bundle: the reference verifier's cap. */
export const MAX_TLOG_ENTRIES = 32;
/** Signed timestamps in one bundle: the reference verifier's cap. */
export const MAX_TIMESTAMPS = 32;
/** Subjects of one in-toto statement: the reference verifier's cap. */
export const MAX_STATEMENT_SUBJECTS = 1024;
/** Bytes of a file with several foreign attestations: some of GitHub's largest (16 MiB, a third more in base64), or many small ones. */
export const MAX_FOREIGN_BYTES = 128 * 1024 * 1024;
/** Attestations in one such file: GitHub answers with up to 100 to a page. */
export const MAX_FOREIGN_BUNDLES = 1000;
/** Keys in a package registry's list. npm's has four. */
export const MAX_REGISTRY_KEYS = 256;

// ── Trees, checkpoints, witnesses ──

/** Entries of a log: int64 of the wire format. */
export const MAX_LOG_SIZE = 2n ** 63n - 1n;
/** Seconds since 1970 of a log's integrated time: 9999-12-31T23:59:59Z, the last that RFC 3339 can write. */
export const MAX_UNIX_SECONDS = 253_402_300_799n;
/** Hashes in an inclusion or consistency proof: a tree of 2^63 leaves needs at most 63 (RFC 6962 §2.1.1), twice that for consistency. */
export const MAX_PROOF_HASHES = 128;
/** Signature lines of a signed note: a log, its witnesses, and room (the C2SP reference parser's cap is 100). */
export const MAX_NOTE_SIGNATURES = 100;
/** Bytes of a signed note: three text lines and MAX_NOTE_SIGNATURES lines of up to 4 KiB (post-quantum cosignatures). */
export const MAX_NOTE_BYTES = 512 * 1024;
/** Characters of a verifier key: a name as long as a host and path may be, and the key. */
export const MAX_VKEY_CHARS = 1024;
/** Witnesses of one log, and of one verification: C2SP tlog-policy asks for 32; each is asked at every publication. */
export const MAX_WITNESSES = 32;
/** Logs, or keys of logs, that one witness watches: each is a line in its configuration. */
export const MAX_WATCHED_LOGS = 10_000;
/** Bytes of a witness's answer: a line for each of its keys, of up to 4 KiB (post-quantum cosignatures). */
export const MAX_WITNESS_ANSWER_BYTES = 64 * 1024;
/** Hashes of the consistency proof that a witness is sent (C2SP tlog-witness). */
export const MAX_WITNESS_PROOF_HASHES = 63;
/** Bytes of a request to a witness: a checkpoint, and the lines before it of up to 45 bytes each. */
export const MAX_ADD_CHECKPOINT_BYTES = MAX_NOTE_BYTES + 4 * 1024;
/** Appends that wait until a cosigned checkpoint covers them: some seconds' worth, about 2 KiB each. */
export const MAX_WAITING_PUBLICATIONS = 20_000;

// ── Trust material ──

/** Bytes of a trusted root, signing config or TUF metadata file. Public-good's are under 20 KiB. */
export const MAX_TRUST_FILE_BYTES = 4 * 1024 * 1024;
/** Logs, authorities or services of one kind in a trusted root or signing config. Public-good's have up to five. */
export const MAX_TRUST_INSTANCES = 256;
/** Trusted roots to choose from in one command: a handful of instances in practice, each tried for each bundle. */
export const MAX_TRUSTED_ROOTS = 32;
/** Bytes of an export of stored trust material: 64 instances of the size of public-good, or a few with long histories. */
export const MAX_TRUST_EXPORT_BYTES = 32 * 1024 * 1024;
/** Files of one instance in an export: every root of MAX_TUF_ROOT_ROTATIONS and the rest. */
export const MAX_TRUST_EXPORT_FILES = 300;
/** New TUF roots followed in one update: the reference client's cap. Public-good has had 15 in five years. */
export const MAX_TUF_ROOT_ROTATIONS = 256;
/** Bytes of one TUF root: the reference client's cap. */
export const MAX_TUF_ROOT_BYTES = 512_000;
/** Bytes of the TUF timestamp: the reference client's cap. */
export const MAX_TUF_TIMESTAMP_BYTES = 16 * 1024;
/** Keys, signatures or files listed in one TUF metadata file. */
export const MAX_TUF_LIST = 4096;

// ── Identities and policies ──

/** Characters of an identity token. Google's and GitHub's stay under 3 KiB. */
export const MAX_IDENTITY_TOKEN_CHARS = 16 * 1024;
/** Characters of an identity pattern: a certificate's identity is at most a long URL. */
export const MAX_PATTERN_CHARS = 2048;
/** States of a compiled pattern; with MAX_PATTERN_TEXT_CHARS it bounds one match to some milliseconds per thousand states. */
export const MAX_PATTERN_STATES = 5000;
/** Levels of groups in a pattern, for the stack. */
export const MAX_PATTERN_DEPTH = 50;
/** Highest repetition count in a pattern, as in RE2. */
export const MAX_PATTERN_REPEAT = 1000;
/** Characters of a text that a pattern is matched with; longer ones do not match. */
export const MAX_PATTERN_TEXT_CHARS = 4096;
/** Bytes of a policy file or of signers.lock: thousands of rules or artifacts. */
export const MAX_POLICY_BYTES = 4 * 1024 * 1024;
/** Bytes of the same in YAML, of which a byte can take a hundred times as long: hundreds of rules, read in a second whatever it is. */
export const MAX_YAML_BYTES = 64 * 1024;
/** Rules of a policy: each is tried for each signature. */
export const MAX_POLICY_RULES = 256;
/** Identities, keys, claims, predicate types or conditions of one rule, and values of one condition. */
export const MAX_POLICY_ITEMS = 256;
/** Different keys of a policy: a signature without a usable hint is verified with each. */
export const MAX_POLICY_KEYS = 32;
/** Steps of a path into a predicate. */
export const MAX_POLICY_PATH_STEPS = 64;
/** Artifacts in signers.lock: a release has dozens of files, a mirror thousands. */
export const MAX_PINS = 20_000;

// ── What every request to a server goes through ──

/** A rate per minute or a burst in the configuration: more than the server can do, so that a typing error shows. */
export const MAX_RATE = 1_000_000;
/** Clients or identities whose rate is remembered, about 100 bytes each. */
export const MAX_RATE_KEYS = 50_000;
/** Bytes of a body that is large: signatures, keys and chains are under 16 KiB, envelopes with statements may be more. */
export const LARGE_BODY_BYTES = 64 * 1024;
/** Bytes of small bodies that are read and worked on at the same time: a thousand of LARGE_BODY_BYTES. */
export const MAX_SMALL_BODIES_BYTES = 64 * 1024 * 1024;
/** Bytes of large bodies at the same time: four of MAX_LOG_REQUEST_BYTES, as each is held about four times while it is parsed. */
export const MAX_LARGE_BODIES_BYTES = 96 * 1024 * 1024;
/** Part of either that one client may take; a body of MAX_LOG_REQUEST_BYTES has to fit. */
export const MAX_CLIENT_BODY_SHARE = 0.25;
/** Bytes of an answer from which on it counts: what a thousand clients that do not read hold of smaller ones fits in memory. */
export const LARGE_ANSWER_BYTES = 64 * 1024;
/** Bytes of large answers that wait for their clients to read: a quarter may be held by one client, some 40 pieces of bundles. */
export const MAX_ANSWERS_BYTES = 96 * 1024 * 1024;
/** Seconds without a byte moved, in or out, until a connection is closed: a client that does not read holds memory. */
export const MAX_IDLE_SECONDS = 10;
/** Entries read at once for a bundle: of MAX_TILE_ENTRY_BYTES each, half a megabyte is in memory and in one stretch of work. */
export const BUNDLE_PIECE_ENTRIES = 8;
/** Bytes of entries in one answer of the CT log's get-entries, the entry that passes them included: RFC 6962 §4.6 lets it be short. */
export const MAX_CT_ENTRIES_BYTES = 1024 * 1024;
/** Milliseconds that a request may take at least, its body included, until it is broken off. */
export const MIN_REQUEST_DEADLINE_MS = 20_000;
/** Bytes a second that a sender must reach once those are over: a slow mobile line. */
export const MIN_BODY_BYTES_PER_SECOND = 256 * 1024;
/** Time series of one metric: all routes with all methods and kinds of answer are under 500. */
export const MAX_METRIC_SERIES = 1_000;

// ── Certificate authority and CT log ──

/** Bytes of a request body to the CA: Fulcio's cap is 4 MiB, a real request is under 8 KiB. */
export const MAX_CA_REQUEST_BYTES = 256 * 1024;
/** Bytes of an issuer's discovery document or key set. The largest public ones are under 20 KiB. */
export const MAX_ISSUER_DOCUMENT_BYTES = 512 * 1024;
/** Bytes of a form or JSON body to the development issuer: every field together is under 8 KiB. */
export const MAX_FORM_BYTES = 16 * 1024;
/** Bytes of a request to the CT log: MAX_CHAIN_CERTIFICATES of MAX_CERTIFICATE_BYTES in base64. */
export const MAX_CT_REQUEST_BYTES = 1024 * 1024;
/** Entries in one answer of the CT log's get-entries. */
export const MAX_CT_ENTRIES = 256;

// ── Transparency log: requests and entries ──

/** Bytes of a request to the transparency log: an envelope of GitHub's largest attestation in base64 inside a JSON string. */
export const MAX_LOG_REQUEST_BYTES = 24 * 1024 * 1024;
/** Members and elements of such a request: ten envelopes with ten signatures each, and room for what is ignored. */
export const MAX_LOG_REQUEST_MEMBERS = 1_000;
/** Bytes of a request to the log from which on it is read on a thread of its own: below, the worst takes milliseconds. */
export const MIN_LARGE_BODY_BYTES = 32 * 1024;
/** Bytes of such requests that wait for that thread: two of the largest. One alone may be larger. */
export const MAX_PENDING_LARGE_BYTES = 48 * 1024 * 1024;
/** Milliseconds that such requests may wait for that thread, by how long the last ones took: half of what ends a request's deadline soonest. */
export const MAX_WAITING_LARGE_MS = 5_000;
/** Bytes of a v1 request that looks something up: a key or certificate in PEM, in base64. */
export const MAX_LOOKUP_REQUEST_BYTES = 1024 * 1024;
/** Bytes of a canonicalized body in a v1 log: an envelope with MAX_LOGGED_SIGNATURES certificates, five times Fulcio's. */
export const MAX_V1_ENTRY_BYTES = 256 * 1024;
/** Bytes of a canonicalized body in a tiles log: the entry bundle's length prefix is a uint16 (C2SP tlog-tiles). */
export const MAX_TILE_ENTRY_BYTES = 65_535;
/** Bytes of an attestation that is kept beside its entry: the reference v1 server's default. */
export const MAX_ATTESTATION_BYTES = 100 * 1024;
/** Bytes of a timestamp that is logged: the reference v1 server's cap. */
export const MAX_LOGGED_TIMESTAMP_BYTES = 10 * 1024;
/** Signatures, and verifiers, of one envelope that is logged: each costs a verification. Real ones have one. */
export const MAX_LOGGED_SIGNATURES = 10;
/** Shards of one log: those of both are in a search cursor and a trusted root. Public-good began seven in five years. */
export const MAX_LOG_SHARDS = 32;

// ── Transparency log: work that waits ──

/**
 * Microseconds of work that signatures under way may cost together: beyond half a second's on two cores the answer is
 * OVERLOADED. One alone is always verified.
 */
export const MAX_PENDING_VERIFICATION_MICROSECONDS = 1_000_000;
/**
 * Microseconds that the checks of one request may cost in the worst case, all pairs of signature, key and hash together: of P-521,
 * which costs most, 15 pairs; of P-256 every one of MAX_LOGGED_SIGNATURES with as many keys. Real requests have one or two.
 */
export const MAX_REQUEST_VERIFICATION_MICROSECONDS = 50_000;
/** Bytes of the messages of those signatures: the thread pool works on a copy of each. One alone may be larger. */
export const MAX_PENDING_VERIFICATION_BYTES = 64 * 1024 * 1024;
/** Microseconds of verification before the event loop has its turn again; one P-521 or Ed25519ph more may follow. */
export const VERIFICATION_TURN_MICROSECONDS = 2_000;
/**
 * Milliseconds of one kind of work (requests that are read, answers that are made) before the event loop has its turn again.
 * The kinds may meet in one turn, with a commit.
 */
export const STRETCH_MS = 2;
/** Milliseconds of work that may wait before a log: what comes on top is refused, for a client that waits longer asks twice. */
export const MAX_WAITING_MS = 500;
/** Entries of one log that wait for a commit, however fast they seem to go: half a second at 40,000 per second. */
export const MAX_WAITING_APPENDS = 20_000;
/** Bytes of those entries together; at least one entry of MAX_LOG_REQUEST_BYTES has to fit. */
export const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** Entries in one commit: beyond about 500 a larger one is not cheaper per entry, and it keeps the event loop. */
export const MAX_APPEND_BATCH = 500;
/** Bytes of the entries in one commit; a single larger entry is a batch of its own. */
export const MAX_APPEND_BATCH_BYTES = 8 * 1024 * 1024;

// ── Transparency log: reading and searching ──

/** Entries that one request may ask for by index, UUID or body: the reference v1 server's cap. */
export const MAX_RETRIEVE_ENTRIES = 10;
/** Entries that one command fetches by a digest: what a person looks at, each a request. */
export const MAX_LOG_GETS = 20;
/** Entries that one search of the v1 index answers with, 83 bytes each. */
export const MAX_INDEX_RESULTS = 10_000;
/** Search keys that are kept of one entry, 32 bytes each: two for each of MAX_STATEMENT_SUBJECTS. */
export const MAX_ENTRY_SEARCH_KEYS = 2048;
/** Identities of one signer that are searched: real certificates have one. */
export const MAX_ENTRY_NAMES = 16;
/** Entries in one page of a search: each is read and examined again, in some 0.1 ms. */
export const MAX_SEARCH_PAGE = 100;
/** Characters of one term of a search: an identity is at most a long URL. */
export const MAX_SEARCH_TERM_CHARS = 1024;

// ── Git and its agent ──

/** Bytes of a commit, tag or push certificate. Commits that merge signed tags or carry generated messages reach megabytes. */
export const MAX_GIT_OBJECT_BYTES = 64 * 1024 * 1024;
/** Parents of a commit that is verified: the largest merge of the Linux kernel has 66. */
export const MAX_GIT_PARENTS = 100;
/** Entries of trees that differ, compared to tell what one commit changes: more than any commit but an import of a huge tree has. */
export const MAX_GIT_COMPARED_ENTRIES = 1_000_000;
/** Folders within each other: paths of 4,096 bytes, the most that systems take, have 2,048. */
export const MAX_GIT_TREE_DEPTH = 2048;
/** Bytes of a git object that an agent signs, or of its answer: real ones are under 100 KiB, generated messages reach 5 MiB. */
export const MAX_AGENT_PAYLOAD_BYTES = 16 * 1024 * 1024;
/** Bytes of the header of an agent's message: an identity token of MAX_IDENTITY_TOKEN_CHARS, or MAX_AGENT_IDENTITIES. */
export const MAX_AGENT_HEADER_BYTES = 128 * 1024;
/** Identities that an agent holds at a time: one for each stack that a person signs with. */
export const MAX_AGENT_IDENTITIES = 32;
/** Connections to an agent at a time: a rebase makes one, parallel worktrees a handful. Each may carry MAX_AGENT_PAYLOAD_BYTES. */
export const MAX_AGENT_CONNECTIONS = 64;
