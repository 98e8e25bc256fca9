// Errors of the package. `code` tells programs what `message` tells people.

export class RevoxError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "RevoxError";
    this.code = code;
  }
}
