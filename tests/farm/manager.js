// What Flamenco Manager gives a job type's script (author, path, frameChunker, formatTimestampLocal, print), recorded as JSON.
// usage: node manager.js SCRIPT JOB.json
"use strict";
const fs = require("fs");
const vm = require("vm");
const posix = require("path").posix;

function task(name, type) {
    const made = { name, type, commands: [], dependencies: [] };
    Object.defineProperty(made, "addCommand", { value: (command) => made.commands.push(command) });
    Object.defineProperty(made, "addDependency", { value: (other) => made.dependencies.push(other.name) });
    return made;
}

// "1-10, 12" in chunks of 4: 1-4, 5-8, 9-10, 12
function frameChunker(frames, size) {
    const numbers = frames.split(",").flatMap((part) => {
        const [first, last] = part.trim().split("-").map(Number);
        return Array.from({ length: (last ?? first) - first + 1 }, (_, n) => first + n);
    });
    const chunks = [];
    for (let n = 0; n < numbers.length; ) {
        let end = n;
        while (end + 1 < numbers.length && end + 1 - n < size && numbers[end + 1] === numbers[end] + 1) end++;
        chunks.push(end > n ? `${numbers[n]}-${numbers[end]}` : `${numbers[n]}`);
        n = end + 1;
    }
    return chunks;
}

const [script, described] = process.argv.slice(2);
const tasks = [];
const job = { ...JSON.parse(fs.readFileSync(described, "utf-8")), created: new Date(0), addTask: (made) => tasks.push(made) };
const given = {
    author: { Task: task, Command: (name, parameters) => ({ name, parameters }) },
    path: { join: posix.join, dirname: posix.dirname, basename: posix.basename, stem: (p) => posix.parse(p).name },
    formatTimestampLocal: (date) => date.toISOString().slice(0, 19).replace(/[T:]/g, "-"),
    frameChunker,
    print: () => {},
};
const context = vm.createContext(given);
vm.runInContext(fs.readFileSync(script, "utf-8") + "\n;globalThis.type = JOB_TYPE; globalThis.compile = compileJob;", context);
context.compile(job);
console.log(JSON.stringify({ type: context.type, tasks }));
