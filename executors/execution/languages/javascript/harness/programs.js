'use strict';
// Compilation of programs to functions: CommonJS unchanged, simple ES modules rewritten.

const vm = require('node:vm');
const { isBuiltin } = require('node:module');

const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
const FILE = 'solution.js'; // name of a candidate in stack traces

const IMPORT =
  /(?<=^|;)[ \t]*import\s+(?:([\w$]+)\s*,?\s*)?(?:\*\s*as\s+([\w$]+)\s*|\{([^}]*)\}\s*)?from\s*(['"])([^'"\n]+)\4[ \t]*;?/gm;
const BARE_IMPORT = /(?<=^|;)[ \t]*import\s*(['"])([^'"\n]+)\1[ \t]*;?/gm;
const DEFAULT_DEFINITION = /(?<=^|[;}])[ \t]*export\s+default\s+((?:async\s+)?function\b\s*\*?|class\b)\s*([\w$]+)/gm;
const DEFAULT_VALUE = /(?<=^|[;}])[ \t]*export\s+default\s+/gm;
const NAMED_DEFINITION =
  /(?<=^|[;}])[ \t]*export\s+((?:async\s+)?function\b\s*\*?\s*|class\s+|const\s+|let\s+|var\s+)([\w$]+)/gm;
const EXPORT_LIST = /(?<=^|[;}])[ \t]*export\s*\{([^}]*)\}[ \t]*;?/gm;
const REQUIRED = /\brequire\s*\(\s*(['"`])([^'"`\n]+)\1|\bfrom\s*(['"])([^'"\n]+)\3|\bimport\s*\(?\s*(['"])([^'"\n]+)\5/g;

// Program as a function of `exports`, `require`, `module`, …; it returns a promise if the program awaits at its top
// level. `context`: context to run it in; undefined for that of the process. `ending`: text to add to it. Throws
// SyntaxError.
function compile(text, context, { ending = '', file = FILE } = {}) {
  const plain = `${text.replace(/^\uFEFF?#!/, '//')}\n${ending}`;
  const inContext = { filename: file, ...(context && { parsingContext: context }) };
  try {
    return vm.compileFunction(plain, PARAMETERS, inContext);
  } catch (error) {
    const rewritten = asCommonJs(plain, ending);
    if (rewritten !== null) {
      try {
        return vm.compileFunction(rewritten, PARAMETERS, inContext);
      } catch {
        // It may await at its top level.
      }
    }
    if (!/\bawait\b/.test(text)) throw error;
    const waiting = `(async function (${PARAMETERS.join()}) {${rewritten ?? plain}\n})`;
    const script = new vm.Script(waiting, { filename: file });
    return context ? script.runInContext(context) : script.runInThisContext();
  }
}

// Whether a program compiles as it is, without being rewritten.
function isCommonJs(text) {
  try {
    vm.compileFunction(text.replace(/^\uFEFF?#!/, '//'), PARAMETERS);
    return true;
  } catch {
    return false;
  }
}

// ES module as CommonJS; null if the text is not an ES module.
function asCommonJs(text, ending) {
  const exported = [];
  const rewritten = text
    .replace(IMPORT, (_, whole, space, names, quote, origin) => {
      const from = `require(${quote}${origin}${quote});`;
      return [
        whole && `const ${whole} = ((module) => module.default ?? module)(${from.slice(0, -1)});`,
        space && `const ${space} = ${from}`,
        names && `const {${names.replace(/\sas\s/g, ': ')}} = ${from}`,
      ].filter(Boolean).join(' ');
    })
    .replace(BARE_IMPORT, 'require($1$2$1);')
    .replace(DEFAULT_DEFINITION, (_, keyword, name) => {
      exported.push(['default', name]);
      return `${keyword} ${name}`;
    })
    .replace(DEFAULT_VALUE, 'exports.default = ')
    .replace(NAMED_DEFINITION, (_, keyword, name) => {
      exported.push([name, name]);
      return `${keyword}${name}`;
    })
    .replace(EXPORT_LIST, (_, names) => {
      for (const item of names.split(',').map((name) => name.trim()).filter(Boolean)) {
        const [own, other = own] = item.split(/\s+as\s+/);
        exported.push([other, own]);
      }
      return '';
    });
  if (rewritten === text) return null;
  const body = rewritten.slice(0, rewritten.length - ending.length);
  const exporting = exported.map(([name, own]) => `exports.${name} = ${own};`).join(' ');
  return `'use strict'; ${body}\n;${exporting}\n${ending}`;
}

// Names of the modules that a program requires or imports.
function requiredModules(text) {
  return [...text.matchAll(REQUIRED)].map((match) => match[2] ?? match[4] ?? match[6]);
}

// `require` for a program: the module that `special` returns for a name, or else one of Node's own.
function requirer(special = () => undefined) {
  return (name) => {
    const found = special(name);
    if (found !== undefined) return found;
    if (!isBuiltin(name)) {
      const error = new Error(`Cannot find module '${name}'`);
      throw Object.assign(error, { code: 'MODULE_NOT_FOUND' });
    }
    return require(name);
  };
}

// Run a compiled program; return its module, or a promise of it.
function run(program, realm, require, file = FILE) {
  const module = { exports: new realm.kinds.Object() };
  const done = program.call(module.exports, module.exports, require, module, file, '.');
  return done === undefined ? module : Promise.resolve(done).then(() => module);
}

module.exports = { compile, isCommonJs, requiredModules, requirer, run };
