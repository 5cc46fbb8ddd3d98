// SPDX-License-Identifier: GPL-3.0-or-later
//
// A job type for Flamenco (3.x): a clip is extracted, its take loaded, one person's motion put onto a character of this file, the frames
// rendered and made a movie. Put it into the folder `scripts` beside flamenco-manager. Every worker needs Reshoot enabled in its Blender,
// with a solver in its preferences (docs/batch.md).

const JOB_TYPE = {
    label: "Reshoot: Clip to Character",
    description: "Extract a clip's camera and people, move a character of this file like one of them, render, and make a movie",
    settings: [
        { key: "clip", type: "string", subtype: "file_path", required: true, visible: "submission",
          description: "Film to extract, where every worker can read it" },
        { key: "take", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "Folder for the take, where every worker can write" },
        { key: "character", type: "string", required: true, eval: "C.object.name if C.object else ''", visible: "submission",
          description: "Name of the character's armature in this file" },
        { key: "person", type: "int32", required: true, default: 1, propargs: { min: 1, max: 255 }, visible: "submission",
          description: "Number of the person of the film whom the character follows" },
        { key: "transfer", type: "string", required: true, choices: ["film", "set"], default: "film", visible: "submission",
          description: "Put the character into the film, or camera and character into this file's set" },
        { key: "quality", type: "string", required: true, choices: ["final", "preview"], default: "final", visible: "submission",
          description: "How thoroughly to solve" },
        { key: "frames", type: "string", required: true, eval: "f'{C.scene.frame_start}-{C.scene.frame_end}'",
          evalInfo: { showLinkButton: true, description: "Scene frame range" }, visible: "submission",
          description: "Frames to render, the clip's first one being 1. Examples: '47', '1-30', '3, 5-10, 47-327'" },
        { key: "chunk_size", type: "int32", default: 8, propargs: { min: 1 }, visible: "submission",
          description: "Frames of one render task" },
        { key: "render_output_root", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "Folder below which the job's own folder is made" },
        { key: "blendfile", type: "string", required: true, visible: "web", description: "The file with the character" },
        { key: "fps", type: "float", eval: "C.scene.render.fps / C.scene.render.fps_base", visible: "hidden" },
    ],
};

const SCENE = "Reshoot Transfer";

function compileJob(job) {
    const settings = job.settings;
    const folder = path.join(settings.render_output_root, `${job.name}-${formatTimestampLocal(job.created)}`);
    const shotfile = path.join(folder, "shot.blend");

    const extract = author.Task("extract", "blender");
    extract.addCommand(author.Command("exec", {
        exe: "{blender}",
        args: ["--background", "--command", "reshoot", "extract", settings.clip, "--out", settings.take,
               "--quality", settings.quality, "--json"],
    }));
    job.addTask(extract);

    const setUp = author.Task("load and retarget", "blender");
    setUp.addCommand(author.Command("exec", {
        exe: "{blender}",
        args: ["--background", settings.blendfile, "--python-exit-code", "1", "--python-expr", setUpScript(settings, shotfile)],
    }));
    setUp.addDependency(extract);
    job.addTask(setUp);

    const movie = author.Task("movie", "ffmpeg");
    movie.addCommand(author.Command("frames-to-video", {
        exe: "ffmpeg",
        fps: settings.fps,
        inputGlob: path.join(folder, "frames", "*.png"),
        outputFile: path.join(folder, `${job.name}.mp4`),
        args: ["-c:v", "h264", "-crf", "18", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-r", settings.fps, "-y"],
    }));
    for (const chunk of frameChunker(settings.frames, settings.chunk_size)) {
        const render = author.Task(`render ${chunk}`, "blender");
        render.addCommand(author.Command("blender-render", {
            exe: "{blender}",
            exeArgs: "{blenderArgs}",
            argsBefore: [],
            blendfile: shotfile,
            args: ["--scene", SCENE, "--render-output", path.join(folder, "frames", "######"), "--render-format", "PNG",
                   "--render-frame", chunk.replace(/-/g, "..")],
        }));
        render.addDependency(setUp);
        job.addTask(render);
        movie.addDependency(render);
    }
    job.addTask(movie);
}

// Python for Blender. JSON's strings are Python's too, so no setting can be more than a string.
function setUpScript(settings, shotfile) {
    const text = JSON.stringify;
    const transfer = settings.transfer === "film"
        ? `bpy.ops.shot.setup_composite(replace=${text(String(settings.person))}, scene_name=${text(SCENE)})`
        : `bpy.ops.shot.setup_scene(scene_name=${text(SCENE)})`;
    return [
        "import bpy, os",
        `bpy.ops.shot.load_take(directory=${text(settings.take)}, match_scene=True)`,
        `bpy.ops.shot.retarget(person=${Number(settings.person)}, armature=${text(settings.character)})`,
        transfer,
        `os.makedirs(os.path.dirname(${text(shotfile)}), exist_ok=True)`,
        `bpy.ops.wm.save_as_mainfile(filepath=${text(shotfile)}, copy=True)`,
    ].join("\n");
}
