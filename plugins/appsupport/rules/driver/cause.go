package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"unicode"
)

// Cause says in few words why a server of names could not be asked: what Go says repeats
// addresses and URLs, and may quote what the server sent.
func Cause(ctx context.Context, err error) error {
	var request *url.Error
	var network *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errors.New("it took too long")
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it closed the connection")
	case errors.As(err, &network):
		return network.Err
	case errors.As(err, &request):
		err = request.Err
	}
	printable := func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}
	return fmt.Errorf("%.200s", strings.Map(printable, err.Error()))
}
