"""Other programs' SMPL tracks: each layout written with known content, read back to 1 mm and 0.01 degrees."""

import base64
import json
import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from solver.body.model import BodyModel
from solver.frames import R_zup_from_yup, compose, invert
from solver.imports import people as imported
from solver.imports import read_people, world_camera
from solver.imports.people import in_camera, in_lens, on_body, overlay
from solver.imports.person import REST_PELVIS
from solver.protocol import Reporter, ShotError
from solver.records import People
from tests.imports_cases import FRAMES, HEIGHT, WIDTH, body_track, camera_path, matrices, same_rotation, shot

MM, FOCAL = 1e-3, 700.0
YDOWN = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # Z-up world from the axes of a level camera


def in_world(T, poses, trans, family):
    """S_w of an S_c track: SMPL's root turns about the rest pelvis."""
    J = np.array(REST_PELVIS[family])
    out = poses.copy()
    out[:, 0] = (Rotation.from_matrix(T[:, :3, :3]) * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    root = np.einsum("fij,fj->fi", T[:, :3, :3], J + trans) + T[:, :3, 3]
    return out, root - J


def turned(R, T):
    return compose(R @ T[:, :3, :3], T[:, :3, 3] @ R.T)


def check(person, poses, trans, joints=24):
    seen = in_camera(person)
    assert same_rotation(seen.poses[:, :joints], poses[:, :joints])
    assert np.abs(seen.trans - trans).max() < MM
    assert not seen.poses[:, joints:].any()


def tensors(tree):
    return {
        k: tensors(v) if isinstance(v, dict) else torch.as_tensor(np.asarray(v, np.float32)) for k, v in tree.items()
    }


def test_phalp(tmp_path):
    poses, trans, betas = body_track()
    R = matrices(poses)
    frames = {}
    for f in range(FRAMES):
        body = {"global_orient": R[f, :1], "body_pose": R[f, 1:], "betas": betas.astype(np.float32)}
        seen = f != 3  # tracked, but not seen in frame 3: a repeated body that must not be taken
        frames[f"outputs/_DEMO/clip/img/{f + 1:06d}.jpg"] = {
            "time": f, "shot": 0, "frame_path": "x", "tid": [7, 9], "tracked_ids": [7], "tracked_time": [0 if seen else 1, 4],
            "bbox": [np.zeros(4)] * 2, "smpl": [body, body], "camera": [trans[f] if seen else trans[f] + 9, trans[f] + 5],
            "size": [[720, 1280]] * 2, "embedding": [torch.zeros(3)] * 2, "conf": [np.float32(0.9)] * 2,
        }  # fmt: skip
    file = tmp_path / "demo_clip.pkl"
    file.write_bytes(pickle.dumps(frames))
    [person] = read_people([file], shot())
    assert person.frame.tolist() == [0, 1, 2, 4, 5] and person.space == "camera"
    check(person, poses[person.frame], trans[person.frame])
    assert np.allclose(person.betas, betas, atol=1e-6)
    assert np.allclose(
        person.K[0], [[5000 / 256 * WIDTH, 0, WIDTH / 2], [0, 5000 / 256 * WIDTH, HEIGHT / 2], [0, 0, 1]]
    )


def wham_tracks():
    poses, trans, betas = body_track()
    track = {
        "pose": poses.reshape(FRAMES, 72), "trans": trans, "pose_world": np.zeros((FRAMES, 72)), "trans_world": np.zeros((FRAMES, 3)),
        "betas": np.tile(betas, (FRAMES, 1)), "verts": np.zeros((FRAMES, 3, 3)), "frame_ids": np.arange(FRAMES),
    }  # fmt: skip
    return {0: track, 4: track}, poses, trans


def test_wham(tmp_path):
    tracks, poses, trans = wham_tracks()
    (tmp_path / "wham_output.pkl").write_bytes(pickle.dumps(tracks))
    report = Reporter()
    people = read_people([tmp_path / "wham_output.pkl"], shot(), report=report)
    assert len(people) == 2
    check(people[1], poses, trans)
    assert person_focal(people[0]) == pytest.approx(np.hypot(WIDTH, HEIGHT))
    assert any("lens" in w for w in report.warnings) and any("--smpl" in w for w in report.warnings)


def person_focal(person):
    return person.K[0, 0, 0]


# wham_output.pkl as joblib 1.6 writes it with compress=3: four frames of one track, made by
# pose = arange(4*72).reshape(4, 72) / 1000, trans = (0.1 i, -0.2, 4 + i), frame_ids = 2..5, id 3.
WHAM_BY_JOBLIB = (
    "cwX&SdrVVz6b4!lfhi)2ii&SB4jCdt?L7w+-$i^zont^ti?`U)+6Rbl#PX0LBCSrH^TC|c5Mu}-#1MjxId$mNxfo&yGlUT1oI2;!"
    "Ik$a<;!JSKvOnBE+&_AM_x7B7zVn^$e!q5`)G@%_t>duyrs}m?b*fpT&oJ3-zAAN^!lE^+G^u8Lnce2Cv}m+ujq@w1>z>uV)Gn87"
    "wujoJ2E9pbxAjlgE43QsqzsGBkezJMq^{NCZodTQ<qV@yk-gHWFc{QEJa0md-I?fZvM5uv3KO2{*^y<p^~z8woUzWLo+eRYP}}8F"
    "`Mf+_>5VER+uY-@R++Q$jp*OCLbONP6nkMoK2U|qB{p}#o{*5R;7=SKA96RdU1{@CXtnyRWSvf7uou{ZJCSzOOIBz#Ych1|40EzF"
    "+pIR(<^C3BUuWiPhm$CMK<;#XfJFBB!C5k_Wj?pcv2KvfOliZlM5s0Q7kqAw7FJE0A|OWi<>hi=W{O%UId2gVFYJvgLQI*^di)^b"
    "%7qB;3dB|kThnV1-ymFRY(&mYAvnAld2NDNdLOw@gzCpHkuM>SiM?oVoG(pC>`SOci;IJ(^>{F4)rAo1(x(r`Q-t@s^wo&>2pH(c"
    "B~xi@x<CQBu>?Fct!f@!X^f|ow#5W&lt1tT3J(8>PR~^kaMJhdH6)hm==YQB2$*T~?QE)kyqU&&<q+^w&2TF)<WqcfA#fB?%c5dn"
    "DIt?s3Or@xmE!=WeRN>|e&9MtVU>q~?J%9Yd=&V~X?g2$U_3$XFHQny1#JvG4XkIVPgo`JR?)H9)xcasQAuZkyOu6x)&YAxC6=5A"
    "{sww@;sScONV)Zw(MKZ%HC;t7*XY!v8|ddIp$K|vqU)n>qpxOC$y(6c9eTE`75%kQk+vN@-lY)hJ@k2>Di1wCua9U>^<(t=gqp5C"
    "MbFPk*Zu;1za)&D$9lQ*0zVH1|6Ddm$~D71xp|BiV-`F<!kgoxd-FQ-Va$ck&iCV%Mene5MIXkDI6>*pCb1uXoDsm77vI?s$X+=E"
    "cw+uQ#_ZTqHi!@GAIx=!hcM>I-W5YRta2DHtr^akDSy&1g3nzZ$!*t0G3LwR&0~0Z>sZddJB~4H{_;sEx4)RcejXDUbLSO(!gyog"
    "Bt9}EoS^}}J1&CzgiYqi$Vi4Bcymk?ADjI?e=Uz@XoLM%P2;Gf>AYGcW9WoGGZ0_OWd3PW3_~*<T{wdiOJ;J8BaWdT{^saxet2RI"
    "2cDkG&=Mz|ozJ=T3;2r*a)z$>=Nk(-s40PEEsGc$W9z*oeCp9s{`ToIhTeFvbOn>oN>=)>VrY*mhOXx8qdw$cLlYS~<d~==R>_jN"
    "a7GG4ll<L6B|lr1%EMNx82aS2v@|Z#uHiFAk)c)oZA&_bSl9BbA}vF=T)Z!XD-Y@UR=I(pVIFzL$aAVqoL*~Y=$Wf7W^&WjEdJx>"
    "dWN=n-klAsYv0JF_ct+g&bOa$VK=vJ=zSaJo`e2#F#GM`U_0iY3m$TzfgRvt2XtTsA694~51iyd5BcCFADSotHwDl|A^0hTHg<xe"
    "ozO=Scq)QMY~acUofLzwVrXR-INJrilz_JqXl6IK+YQ~6g1=H|XAd~s!;Y{{vv#w2nvDvWvFO+7q+(w&K<p2rl;qjP0pdV0NE|AL"
    "6o@07F4p^%gE><%qdN2#>wI@Q*GI69cg_y$`dGZTuJsSGj>%p1e4G}aoTWEvRo#oiox2s4I*YopdrmzJ^f1uFz*}d)5!vNmz8!w~"
    "PX_iT*OdGR|9Z`zm1?u%4gT!&FZ{W~m+_mx>BEiKi`-)H`ydAUcMR^wVE>Eh^zpYJ=Lmnb|75C-<~Q``DVOAT-wb-WcA&Q|fd9Fm"
    "V@VfZz0-^eojO^g>du+9i?6{p56#rS|H6pFy8nTBwWoV_FzVrYyu@{uy3U@iv&A&&FO~5~iv"
)
# joblib 1.6 without compression: an array in Fortran order, one of objects, a scalar; then zlib, to be short.
MIXED_BY_JOBLIB = (
    "c-n<hO-sW-5Y4u!Emg5aiv>N1h}26?9y|!G6g(J=;6*PIHficc^F=<;fQ5Q!ZDDUt@xS>i{0DWDY^znoIqcino!Oc9X8YpgUC68l"
    "4T^N2>vyhZnVRH8wim0Osoz@$(5jNSC%%v4D<6BF;lnE&JVTOI3L;Ina1a13q**|VP6sEkEQl5Yf;|J|yetlx=lUI%OwlRZcfy$6"
    "kkV|&qI2CN7>{1y5*l)zqGM1L<!s6<U1T8yjh3-xxeuysV-H4jE9*3^r((;zb!@{4RV@yU0OU%fm8WwP7Oc|BaEIeZGs6w;?{XA4"
    ");aEREOFfCxZj$b^9+hyAYvvEDUvc-mh%H3s}!|?tdT0sT`cf?`oXiwc#_RAsV4;bg~{9O-CD|4(p}$>?8pkuOlP{H`iAa0LFh+%"
    "n9BZp6tXaYHqs!giqekq-?jh0r|}ImdTe?aWE3bAJ%YhbrOEZ2H~R&D^|%!1*uu%rNd)K~eib9N-(zlz$z)*2A|mM%L&5Yw"
)


def test_a_file_of_joblib_itself(tmp_path):
    (tmp_path / "wham_output.pkl").write_bytes(base64.b85decode(WHAM_BY_JOBLIB))
    [person] = read_people([tmp_path / "wham_output.pkl"], shot())
    assert person.frame.tolist() == [2, 3, 4, 5]
    assert np.allclose(person.poses.reshape(4, 72), np.arange(4 * 72).reshape(4, 72) / 1000, atol=1e-6)
    assert np.allclose(person.trans, [[0.1 * i, -0.2, 4 + i] for i in range(4)], atol=1e-6)


def test_joblib_uncompressed_with_every_kind_of_array(tmp_path):
    import zlib

    from solver.imports.safe import read_pickled

    (tmp_path / "mixed.pkl").write_bytes(zlib.decompress(base64.b85decode(MIXED_BY_JOBLIB)))
    data = read_pickled(tmp_path / "mixed.pkl")
    assert np.array_equal(data["c"], np.arange(12.0).reshape(3, 4))
    assert data["o"].tolist() == [{"a": 1}, None, "x"] and data["s"] == 2.5


def test_slahmr(tmp_path):
    poses, trans, betas = body_track()
    T = camera_path()
    T = turned(YDOWN, invert(T[0]) @ T)  # its first camera is level at the origin
    world_poses, world_trans = in_world(turned(YDOWN.T, T), poses, trans, "smplh")
    w2c = invert(turned(YDOWN.T, T))
    mask = np.ones((1, FRAMES), bool)
    mask[0, 4] = False
    np.savez(
        tmp_path / "clip_000060_world_results.npz", trans=world_trans[None], root_orient=world_poses[None, :, 0],
        pose_body=world_poses[:, 1:22].reshape(1, FRAMES, 63), betas=np.pad(betas, (0, 6))[None], cam_R=w2c[None, :, :3, :3],
        cam_t=w2c[None, :, :3, 3], intrins=np.array([2 * FOCAL, 2 * FOCAL, 640, 360]), track_mask=mask, world_scale=np.ones((1, 1)),
        floor_plane=np.array([[0, -1.0, 0]]),
    )  # fmt: skip
    (tmp_path / "track_info.json").write_text(json.dumps({"meta": {"seq_interval": [0, FRAMES]}, "tracks": {}}))
    [person] = read_people([tmp_path], shot())
    assert person.frame.tolist() == [0, 1, 2, 3, 5] and person.space == "world"
    check(person, poses[person.frame], trans[person.frame], joints=22)
    assert person_focal(person) == pytest.approx(FOCAL)
    assert np.abs(person.T_world_from_cam - T[person.frame]).max() < MM


def test_tram(tmp_path):
    poses, trans, betas = body_track()
    T = camera_path()
    first = invert(T[0]) @ T
    (tmp_path / "hps").mkdir()
    track = {
        "pred_cam": np.zeros((FRAMES, 3)), "pred_pose": np.zeros((FRAMES, 144)), "pred_shape": np.tile(betas, (FRAMES, 1)),
        "pred_rotmat": matrices(poses), "pred_trans": trans[:, None],
    }  # fmt: skip
    track = tensors(track) | {"frame": torch.arange(FRAMES)}
    np.save(tmp_path / "hps" / "hps_track_0.npy", track)
    camera = {
        "pred_cam_R": first[:, :3, :3],
        "pred_cam_T": first[:, :3, 3],
        "img_focal": 2 * FOCAL,
        "img_center": np.array([640.0, 360]),
    }
    np.save(tmp_path / "camera.npy", camera)
    for path in (tmp_path, tmp_path / "hps" / "hps_track_0.npy"):
        [person] = read_people([path], shot())
        check(person, poses, trans)
        assert person_focal(person) == pytest.approx(FOCAL)
    (tmp_path / "camera.npy").unlink()
    with pytest.raises(ShotError, match="camera.npy"):
        read_people([tmp_path], shot())


@pytest.mark.parametrize("zipped", [True, False])
def test_gvhmr(tmp_path, zipped):
    poses, trans, betas = body_track()
    T = camera_path()
    T_yup = turned(R_zup_from_yup.T, T)
    world_poses, world_trans = in_world(T_yup, poses, trans, "smplx")

    def parameters(poses, trans):
        flat = poses.reshape(FRAMES, 72)
        return {
            "body_pose": flat[:, 3:66],
            "betas": np.tile(betas, (FRAMES, 1)),
            "global_orient": flat[:, :3],
            "transl": trans,
        }

    K = np.tile(np.array([[2 * FOCAL, 0, 640], [0, 2 * FOCAL, 360], [0, 0, 1]]), (FRAMES, 1, 1))
    pred = tensors(
        {
            "smpl_params_global": parameters(world_poses, world_trans),
            "smpl_params_incam": parameters(poses, trans),
            "K_fullimg": K,
        }
    )
    pred["net_outputs"] = {"model_output": torch.zeros(1, 2).half()}
    torch.save(pred, tmp_path / "hmr4d_results.pt", _use_new_zipfile_serialization=zipped)
    [person] = read_people([tmp_path / "hmr4d_results.pt"], shot())
    check(person, poses, trans, joints=22)
    assert person.family == "smplx" and person_focal(person) == pytest.approx(FOCAL)
    camera = world_camera(person, FRAMES)
    assert np.abs(camera.T_world_from_cam - T).max() < MM


@pytest.mark.parametrize("space", ["world", "camera"])
def test_prompthmr(tmp_path, space):
    poses, trans, betas = body_track()
    T = camera_path()
    frames = np.arange(1, FRAMES)
    T_yup = turned(R_zup_from_yup.T, T)
    world_poses, world_trans = in_world(T_yup, poses, trans, "smplx")
    cam = invert(T_yup)
    shape = np.tile(betas, (len(frames), 1))
    person = {
        "track_id": 1, "frames": frames, "bboxes": np.zeros((len(frames), 4)), "masks": None,
        "smplx_cam": {"rotmat": np.concatenate([matrices(poses[frames]), np.tile(np.eye(3), (len(frames), 31, 1, 1))], 1),
                      "shape": shape, "trans": trans[frames]},
    }  # fmt: skip
    person["smplx_cam"]["rotmat"][:, 22:] = np.eye(3)
    data = {
        "camera": {"pred_cam_R": T[:, :3, :3], "pred_cam_T": T[:, :3, 3], "img_focal": np.float64(2 * FOCAL), "img_center": np.array([640, 360])},
        "people": {1: person}, "has_hps_world": space == "world",
    }  # fmt: skip
    if space == "world":
        pose = np.zeros((len(frames), 165))
        pose[:, :66] = world_poses[frames].reshape(-1, 72)[:, :66]
        person["smplx_world"] = {"pose": pose, "shape": shape, "trans": world_trans[frames]}
        data["camera_world"] = {
            "pred_cam_R": T[:, :3, :3], "Rwc": T_yup[:, :3, :3], "Twc": T_yup[:, :3, 3], "Rcw": cam[:, :3, :3], "Tcw": cam[:, :3, 3],
        }  # fmt: skip
    (tmp_path / "results.pkl").write_bytes(pickle.dumps(data))
    [got] = read_people([tmp_path / "results.pkl"], shot())
    assert got.space == space and got.frame.tolist() == frames.tolist()
    check(got, poses[frames], trans[frames], joints=22)
    if space == "world":
        assert np.abs(got.T_world_from_cam - T[frames]).max() < MM


@pytest.mark.parametrize("width,family", [(72, "smpl"), (156, "smplh"), (165, "smplx")])
def test_amass_needs_a_camera_of_its_world(tmp_path, width, family):
    poses, trans, betas = body_track()
    T = camera_path()
    world_poses, world_trans = in_world(T, poses, trans, family)
    pose = np.zeros((FRAMES, width))
    shared = 72 if family == "smpl" else 66
    pose[:, :shared] = world_poses.reshape(FRAMES, 72)[:, :shared]
    np.savez(
        tmp_path / "walk.npz",
        poses=pose,
        trans=world_trans,
        betas=np.pad(betas, (0, 6)),
        gender="neutral",
        mocap_framerate=24.0,
    )
    [person] = read_people([tmp_path / "walk.npz"], shot())
    assert person.family == family
    with pytest.raises(ShotError, match="camera"):
        in_camera(person)
    from solver.records import Camera

    seen = in_camera(person, Camera(T, np.tile(np.diag([FOCAL, FOCAL, 1]), (FRAMES, 1, 1))))
    assert np.abs(seen.trans - trans).max() < MM
    assert same_rotation(seen.poses[:, : shared // 3], poses[:, : shared // 3])


def test_our_own_take_comes_back(tmp_path):
    model = BodyModel.load()
    poses, trans, betas = body_track()
    T = camera_path()
    J = model.rest(torch.as_tensor(betas, dtype=torch.float32))[0][0].double().numpy()
    world = poses.copy()
    world[:, 0] = (Rotation.from_matrix(T[:, :3, :3]) * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    world_trans = np.einsum("fij,fj->fi", T[:, :3, :3], J + trans) + T[:, :3, 3] - J
    (tmp_path / "people").mkdir()
    visible = np.ones(FRAMES, bool)
    visible[2] = False
    np.savez(
        tmp_path / "people" / "01.npz", poses=world.reshape(FRAMES, 72), trans=world_trans, betas=betas, frame=np.arange(FRAMES),
        visible=visible, body="reshoot",
    )  # fmt: skip
    K = np.tile(np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]), (FRAMES, 1, 1))
    np.savez(tmp_path / "camera.npz", T_world_from_cam=T, K=K)
    [person] = read_people([tmp_path], shot(), model)
    assert person.family == "reshoot" and person.frame.tolist() == [0, 1, 3, 4, 5]
    check(person, poses[person.frame], trans[person.frame])
    assert np.allclose(on_body(in_camera(person), model)[1], trans[person.frame], atol=MM)


def test_frames_of_the_whole_clip_are_counted_from_its_start(tmp_path):
    tracks, poses, trans = wham_tracks()
    for track in tracks.values():
        track["frame_ids"] = np.arange(FRAMES) + 10
    (tmp_path / "wham.pkl").write_bytes(pickle.dumps(tracks))
    people = read_people([tmp_path / "wham.pkl"], shot(frames=5, start=11))
    assert people[0].frame.tolist() == [0, 1, 2, 3, 4]
    check(people[0], poses[1:], trans[1:])
    with pytest.raises(ShotError, match="nothing in the frames"):
        read_people([tmp_path / "wham.pkl"], shot(frames=5, start=17))


def test_another_lens_keeps_place_and_size_in_the_picture():
    poses, trans, betas = body_track()
    K = np.tile(np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]), (FRAMES, 1, 1))
    person = imported.Person(
        "x", "smpl", "camera", poses, trans, betas, np.arange(FRAMES), K=K, rest_pelvis=np.array(REST_PELVIS["smpl"])
    )
    longer = K @ np.diag([2, 2, 1.0])
    longer[:, :2, 2] = K[:, :2, 2]
    there = in_lens(person, longer)
    assert np.allclose(there.root[:, 2], 2 * person.root[:, 2])
    assert np.allclose(there.root[:, :2], person.root[:, :2])


def test_overlay_keeps_the_pelvis_and_our_own_frames():
    model = BodyModel.load()
    poses, trans, betas = body_track()
    frame = np.array([1, 2, 4])
    K = np.tile(np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]), (FRAMES, 1, 1))
    person = imported.Person(
        "x",
        "smpl",
        "camera",
        poses[frame],
        trans[frame],
        betas,
        frame,
        K=K[frame],
        rest_pelvis=np.array(REST_PELVIS["smpl"]),
    )
    ours, ours_trans, ours_betas = body_track(seed=5)
    fitted = People(
        np.array([1, 3]), np.stack([np.zeros(10), ours_betas]), np.stack([ours[:, 0]] * 2), np.stack([ours[:, 1:]] * 2),
        np.stack([ours_trans] * 2), np.ones((2, FRAMES), bool), np.full((2, FRAMES, 24), 0.7),
    )  # fmt: skip
    out = overlay(fitted, [person], [3], K, model)
    J = imported.rest_pelvis("reshoot", ours_betas, model)
    assert np.allclose(out.trans[1, frame] + J, trans[frame] + REST_PELVIS["smpl"], atol=1e-6)
    assert same_rotation(out.poses[1, frame], poses[frame])
    assert np.array_equal(out.trans[1, [0, 3, 5]], ours_trans[[0, 3, 5]]) and np.array_equal(out.betas, fitted.betas)
    assert np.array_equal(out.trans[0], ours_trans) and np.array_equal(fitted.trans[1], ours_trans)
    # the same after the artist said that from frame 2 on this is person 1, and nobody in frame 4
    out = overlay(fitted, [person], [np.array([3, 3, 1, 1, 0, 0])], K, model)
    assert same_rotation(out.poses[1, 1], poses[1]) and same_rotation(out.poses[0, 2], poses[2])
    assert np.array_equal(out.poses[:, 4], fitted.poses[:, 4]) and np.array_equal(out.poses[1, 2], fitted.poses[1, 2])


class Hostile:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("layout", ["pickle", "npy", "torch", "torch_stream", "gzip"])
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path, layout):
    import gzip
    import os

    marker = tmp_path / "ran"
    evil = {"people": Hostile((os.system, (f"touch {marker}",)))}
    file = (
        tmp_path
        / {"pickle": "a.pkl", "npy": "a.npy", "torch": "a.pt", "torch_stream": "a.pth", "gzip": "b.pkl"}[layout]
    )
    if layout == "pickle":
        file.write_bytes(pickle.dumps(evil))
    elif layout == "gzip":
        file.write_bytes(gzip.compress(pickle.dumps(evil)))
    elif layout == "npy":
        np.save(file, evil, allow_pickle=True)
    else:
        torch.save(evil, file, _use_new_zipfile_serialization=layout == "torch")
    with pytest.raises(ShotError, match=file.name) as caught:
        read_people([file], shot())
    assert not marker.exists() and "system" in caught.value.message


def test_functions_of_the_language_cannot_be_reached(tmp_path):
    for module, name in (
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("torch", "load"),
        ("subprocess", "Popen"),
    ):
        (tmp_path / "a.pkl").write_bytes(f"c{module}\n{name}\n.".encode())
        with pytest.raises(ShotError, match=name):
            read_people([tmp_path / "a.pkl"], shot())
    # nor can what is known be changed for the next file
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02ctorch\nFloatStorage\n}X\x05\x00\x00\x00dtypeX\x01\x00\x00\x00?sb.")
    with pytest.raises(ShotError, match="changes"):
        read_people([tmp_path / "a.pkl"], shot())


def test_wrong_files_end_in_one_clear_line(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps(wham_tracks()[0])[:200])
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2, 3]))
    (tmp_path / "text.pkl").write_text("not a pickle")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "short.npz", poses=np.zeros((4, 71)), trans=np.zeros((4, 3)))
    torch.save({"state_dict": {"w": torch.zeros(2)}}, tmp_path / "weights.pt")
    (tmp_path / "empty").mkdir()
    for path in (*tmp_path.iterdir(), tmp_path / "missing.pkl"):
        with pytest.raises(ShotError) as caught:
            read_people([path], shot())
        assert "\n" not in caught.value.message and caught.value.fix and path.name in caught.value.message


@pytest.mark.parametrize("state", [
    (3, "<", None, None, None, -1, -1, 63), (3, "<", None, None, None, 1 << 40, -1, 0), (3, "<", (np.dtype("O"), (2,)), None, None, -1, -1, 0),
    (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 8, 63),
])  # fmt: skip
def test_a_dtype_that_lies_is_refused_and_numpys_own_stays_whole(tmp_path, state):
    """A state with the flags of objects on numbers made numpy follow pointers that the file wrote, and spoilt float32 for the whole process."""

    class Lie:
        def __reduce__(self):
            return np.dtype, ("f4", False, False), state

    (tmp_path / "a.pkl").write_bytes(pickle.dumps([Lie(), np.ones(3, np.float32)]))
    with pytest.raises(ShotError, match="unknown kind"):
        read_people([tmp_path / "a.pkl"], shot())
    assert np.dtype("f4").itemsize == 4 and not np.dtype("f4").hasobject and np.zeros(2, np.float32).sum() == 0


def test_an_empty_or_broken_track_costs_only_itself(tmp_path):
    tracks, poses, trans = wham_tracks()
    good = tracks[0]
    broken = {k: v[:3] if k == "trans" else v for k, v in good.items()}
    empty = {k: np.asarray(v)[:0] for k, v in good.items()}
    nowhere = good | {"trans": np.full((FRAMES, 3), np.nan)}
    lacking = {"pose": good["pose"], "frame_ids": good["frame_ids"]}
    (tmp_path / "wham_output.pkl").write_bytes(pickle.dumps({3: empty, 5: broken, 7: good, 8: nowhere, 9: lacking}))
    report = Reporter()
    [person] = read_people([tmp_path / "wham_output.pkl"], shot(), report=report)
    check(person, poses, trans)
    told = " ".join(report.warnings)
    assert "track 3, track 5, track 9" in told and "track 8" in told and "track 7" not in told
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({3: empty, 5: broken}))
    with pytest.raises(ShotError, match="b.pkl"):
        read_people([tmp_path / "b.pkl"], shot())


def test_gem_x_is_named(tmp_path):
    (tmp_path / "hpe_results.pt").write_bytes(pickle.dumps({"body_params_incam": {}, "K_fullimg": np.eye(3)[None]}))
    with pytest.raises(ShotError, match="SOMA"):
        read_people([tmp_path / "hpe_results.pt"], shot())
