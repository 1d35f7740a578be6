// Who looks at the board, where the server wants to know.

import { byId, setText } from "./dom.js";
import { ask, Refused } from "./api.js";

const place = "board"; // in the storage of this tab: where somebody was before the login
// EdgeGallery's gateway, below /mep, is for programs, which bear tokens: it has no login.
const byGateway = location.pathname.startsWith("/mep/");

// who asks the server who is looking, until it answers; null: the browser goes to the login. Where
// there is none, nobody may see anything.
export async function who(waiting) {
  for (;;) {
    try {
      const { value } = await ask("caller");
      if (value.identities && !value.name && login()) return null;
      setText(byId("who"), value.name ?? "");
      byId("logout").hidden = value.source !== "cookie";
      return value;
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return login() ? null : { identities: true, mayRead: false, mayDrain: false };
      waiting(error);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

// login has the browser go to the login, and come back to what was shown; false: there is none.
export function login() {
  if (byGateway) return false;
  keep(location.search);
  location.assign(new URL("login?next=board", document.baseURI));
  return true;
}

// restore shows what was shown before the login; true: it was something else than now.
export function restore() {
  const search = kept();
  if (!search || location.search) return false;
  history.replaceState(null, "", location.pathname + search);
  return true;
}

export function forbidden(caller) {
  const why = `${caller.name || "Whoever you are"} may not see this: it needs the role reader, or admin.`;
  return `${why} ${byGateway ? "People log in at the server itself, at /board." : "Log out, and in as somebody else."}`;
}

function keep(search) {
  try {
    sessionStorage.setItem(place, search);
  } catch { // a browser may forbid it: then the board is shown as it is
  }
}

function kept() {
  try {
    const search = sessionStorage.getItem(place);
    sessionStorage.removeItem(place);
    return search;
  } catch {
    return "";
  }
}
