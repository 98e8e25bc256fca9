// Says so where the page's modules do not start. Old browsers have to understand this file.

(function () {
  function fail() {
    var state = document.getElementById("state");
    if (!state || state.textContent !== "Loading the page …") return;
    state.className += " failed";
    state.textContent =
      "The page did not start: this browser is too old for it, or a file is missing. " +
      "A current Chrome, Edge, Firefox or Safari runs it.";
  }
  // Errors of scripts do not bubble.
  addEventListener("error", fail, true);
  if (!("noModule" in document.createElement("script"))) addEventListener("load", fail);
})();
