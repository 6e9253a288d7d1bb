// Opens a cosigned checkpoint on standard input with torchwood, an implementation of C2SP's formats that is not ours.
//
//	verify-cosignatures LOG-VKEY THRESHOLD WITNESS-VKEY...
//
// Prints origin, size and one line for each witness that cosigned; ends with 1 if the checkpoint does not satisfy them.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: verify-cosignatures LOG-VKEY THRESHOLD WITNESS-VKEY...")
	}
	threshold, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	log, err := note.NewVerifier(args[0])
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	var witnesses []torchwood.Policy
	names := map[uint32]bool{}
	for _, vkey := range args[2:] {
		witness, err := torchwood.NewCosignatureVerifier(vkey)
		if err != nil {
			return fmt.Errorf("witness %s: %w", vkey, err)
		}
		names[witness.KeyHash()] = true
		witnesses = append(witnesses, torchwood.SingleVerifierPolicy(witness))
	}
	policy := torchwood.ThresholdPolicy(3,
		torchwood.OriginPolicy(log.Name()),
		torchwood.SingleVerifierPolicy(log),
		torchwood.ThresholdPolicy(threshold, witnesses...))
	checkpoint, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	c, n, err := torchwood.VerifyCheckpoint(checkpoint, policy)
	if err != nil {
		return err
	}
	fmt.Println(c.Origin)
	fmt.Println(c.N)
	for _, signature := range n.Sigs {
		if !names[signature.Hash] {
			continue
		}
		time, err := torchwood.CosignatureTimestamp(signature)
		if err != nil {
			return err
		}
		fmt.Println(signature.Name, time)
	}
	return nil
}
