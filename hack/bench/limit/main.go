// Command limit is the least that a token server on net/http can do: for each request it signs as many bytes with the
// same key and answers as many. It parses nothing, decides nothing, looks nobody up and writes no audit record. What a
// token server reaches is told as a share of it.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	signs := flag.Int("sign", 0, "bytes that are signed for each request")
	answers := flag.Int("answer", 0, "bytes of each answer")
	keyFile := flag.String("key", "", "private key in PEM, PKCS #8: EC on P-256, or Ed25519")
	flag.Parse()
	if err := run(*keyFile, *signs, *answers); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(keyFile string, signs, answers int) error {
	sign, err := signer(keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, handler(sign, signs, answers)) //nolint:gosec // a server for one known client on loopback
}

func handler(sign func([]byte) ([]byte, error), signs, answers int) http.Handler {
	length := strconv.Itoa(answers)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := make([]byte, max(signs, answers), max(signs, answers)+128)
		signature, err := sign(answer[:signs])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		base64.RawURLEncoding.AppendEncode(answer[:max(0, answers-len(signature)*2)], signature)
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", length)
		w.Write(answer[:answers]) //nolint:errcheck // the client has gone; there is nobody left to tell
	})
}

// signer returns how the key signs, in the fastest way that the standard library has.
func signer(keyFile string) (func([]byte) ([]byte, error), error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: must be PEM", keyFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		return func(message []byte) ([]byte, error) {
			sum := sha256.Sum256(message)
			return ecdsa.SignASN1(rand.Reader, key, sum[:])
		}, nil
	case ed25519.PrivateKey:
		return func(message []byte) ([]byte, error) { return key.Sign(nil, message, crypto.Hash(0)) }, nil
	}
	return nil, fmt.Errorf("%s: a %T has no limit here", keyFile, key)
}
