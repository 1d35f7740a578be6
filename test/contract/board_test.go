package contract

import (
	"net/http"
	"slices"

	"github.com/mec-liveness/mepserver/test/mep"
)

const callerPath = "/mec_liveness/v1/caller"

// boardRoutes are those of the board and of what leads to it.
var boardRoutes = []string{"GET /", "GET /board", "GET /board/{file}", "GET " + callerPath}

// ofBoard says whether an answer of them is one of a starting program.
func ofBoard(pattern, status string) bool {
	return slices.Contains(boardRoutes, pattern) && status == "503"
}

// board asks for the board, as curl and as a browser.
func (j *checker) board(s *mep.Server) {
	j.do(s, http.StatusOK, "GET", "/", "")
	j.do(s, http.StatusSeeOther, "GET", "/", "", "Accept", "text/html,*/*;q=0.8")
	j.do(s, http.StatusOK, "GET", callerPath, "")
	for _, path := range []string{"/board", "/board/main.js", "/board/board.css"} {
		a := j.do(s, http.StatusOK, "GET", path, "")
		j.do(s, http.StatusNotModified, "GET", path, "", "If-None-Match", a.Header.Get("ETag"))
	}
}
