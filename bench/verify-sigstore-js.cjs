// Verifies the bundles on standard input in a loop with @sigstore/verify, trust material made once. Prints the verifications
// per second of each run as JSON.
const fs = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const { samples, trustedRoot, identity, issuer, runs, runMs } = JSON.parse(fs.readFileSync(0, 'utf8'));
const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(trustedRoot))), {
  tlogThreshold: 1,
  ctlogThreshold: 1,
});
const policy = { subjectAlternativeName: identity, extensions: { issuer } };
const results = [];
for (let run = 0; run < runs + 2; run++) {
  const start = performance.now();
  let done = 0;
  let elapsed = 0;
  for (; elapsed < runMs; elapsed = performance.now() - start) {
    for (const { bundle, data } of samples) {
      verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(bundle)), Buffer.from(data)), policy);
      done++;
    }
  }
  // Two rounds that do not count come first.
  if (run >= 2) results.push((done / elapsed) * 1000);
}
process.stdout.write(JSON.stringify(results));
