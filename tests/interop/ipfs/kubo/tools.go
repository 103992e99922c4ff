//go:build tools

// Package kubo names the program that is built here, so that go mod keeps it.
package kubo

import _ "github.com/ipfs/kubo/cmd/ipfs"
