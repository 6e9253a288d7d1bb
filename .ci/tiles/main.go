// Reads a whole C2SP tlog-tiles log with torchwood and golang.org/x/mod/sumdb, implementations that are not ours.
//
//	read-log BASE-URL LOG-VKEY [OLD-CHECKPOINT]
//
// Fetches the checkpoint and verifies its note; reads every entry, verifies its inclusion in the bundle's tile and by a proof
// of its own; proves that the tree extends the one of the old checkpoint, a file. Writes the new checkpoint to standard
// output, and what it saw to standard error. Ends with 1 if anything does not verify.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 && len(args) != 3 {
		return fmt.Errorf("usage: read-log BASE-URL LOG-VKEY [OLD-CHECKPOINT]")
	}
	verifier, err := note.NewVerifier(args[1])
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	fetcher, err := torchwood.NewTileFetcher(args[0])
	if err != nil {
		return err
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		return err
	}
	signed, err := fetcher.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	checkpoint, err := open(signed, verifier)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}

	seen := int64(0)
	for i, entry := range client.AllEntries(ctx, checkpoint.Tree, 0) {
		if i != seen {
			return fmt.Errorf("entry %d came as %d", seen, i)
		}
		same, proof, err := client.Entry(ctx, checkpoint.Tree, i)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if sha256.Sum256(same) != sha256.Sum256(entry) {
			return fmt.Errorf("entry %d was read twice and differs", i)
		}
		if err := tlog.CheckRecord(proof, checkpoint.N, checkpoint.Hash, i, tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		seen++
	}
	if err := client.Err(); err != nil {
		return fmt.Errorf("entries: %w", err)
	}
	if seen != checkpoint.N {
		return fmt.Errorf("%d entries in a tree of %d", seen, checkpoint.N)
	}
	fmt.Fprintf(os.Stderr, "%s: %d entries, each included\n", checkpoint.Origin, seen)

	if len(args) == 3 {
		if err := extends(ctx, args[2], checkpoint, verifier, fetcher); err != nil {
			return err
		}
	}
	_, err = os.Stdout.Write(signed)
	return err
}

func open(signed []byte, verifier note.Verifier) (torchwood.Checkpoint, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return torchwood.Checkpoint{}, err
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err == nil && checkpoint.Origin != verifier.Name() {
		err = fmt.Errorf("origin %q of a log named %q", checkpoint.Origin, verifier.Name())
	}
	return checkpoint, err
}

func extends(ctx context.Context, path string, checkpoint torchwood.Checkpoint, verifier note.Verifier, tiles torchwood.TileReader) error {
	signed, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	old, err := open(signed, verifier)
	if err != nil {
		return fmt.Errorf("old checkpoint: %w", err)
	}
	proof, err := tlog.ProveTree(checkpoint.N, old.N, torchwood.TileHashReaderWithContext(ctx, checkpoint.Tree, tiles))
	if err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	if err := tlog.CheckTree(proof, checkpoint.N, checkpoint.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	fmt.Fprintf(os.Stderr, "consistent with the tree of %d\n", old.N)
	return nil
}
