// Package original asks mepserver what EdgeGallery's mepserver (mep 971f2d0, built and asked on
// loopback) was asked, and holds its answers against those that were recorded there. It knows
// both only by HTTP. What is answered otherwise stands in one table with its reason, which
// docs/edgegallery.md shows; a difference that is not in it fails, and so does a row of it that
// is not true any more.
//
// The recording is made anew by asking a running original:
//
//	go test ./test/original -run TestAsTheOriginalAnswers -record http://127.0.0.1:8088
package original
