"""The default body, its evaluation, and SMPL files of the user's own."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse
import torch

from solver.body.model import BODY_FILE, BodyModel
from solver.protocol import ShotError
from solver.skeleton import KEYPOINT_BONES, KEYPOINT_MIRROR, KEYPOINTS, SMPL_JOINTS, SMPL_PARENTS

J = {name: i for i, name in enumerate(SMPL_JOINTS)}
K = {name: i for i, name in enumerate(KEYPOINTS)}
ZERO = torch.zeros(10)


@pytest.fixture(scope="module")
def model():
    return BodyModel.load()


@pytest.fixture(scope="module")
def arrays():
    """Our own arrays with made-up pose blend shapes, as an SMPL file would hold them."""
    with np.load(BODY_FILE) as file:
        out = {key: file[key].astype(np.float64) if file[key].dtype.kind == "f" else file[key] for key in file.files}
    rng = np.random.default_rng(0)
    out["posedirs"] = rng.normal(0, 0.003, (len(out["v_template"]), 3, 207))
    kintree = out["kintree_table"].astype(np.uint32)  # SMPL's own files say 2**32 - 1 for the root
    return {**out, "kintree_table": kintree}


def random_pose(seed, *batch, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    betas = torch.randn(*batch, 10, generator=rng, dtype=dtype)
    poses = 0.6 * torch.randn(*batch, 24, 3, generator=rng, dtype=dtype)
    trans = torch.randn(*batch, 3, generator=rng, dtype=dtype)
    return betas, poses, trans


def test_rest_is_smpls_t_pose(model):
    joints, keypoints = model.rest(ZERO)
    v = model.shaped(ZERO)
    assert 1.68 < float(model.height_m(ZERO)) < 1.72
    assert float(joints[J["head"], 1] - joints[J["left_foot"], 1]) > 1.3  # Y up
    for side, sign in (("left", 1), ("right", -1)):
        shoulder, wrist = joints[J[f"{side}_shoulder"]], joints[J[f"{side}_wrist"]]
        along = (wrist - shoulder) / (wrist - shoulder).norm()
        assert sign * float(along[0]) > 0.99  # arms straight out, left = +X
        hip, ankle = joints[J[f"{side}_hip"]], joints[J[f"{side}_ankle"]]
        assert float(hip[1] - ankle[1]) > 0.97 * float((hip - ankle).norm())
        assert float(keypoints[K[f"{side}_big_toe"], 2] - keypoints[K[f"{side}_heel"], 2]) > 0.15  # facing +Z
        # palms down: the index knuckle in front of the little finger's, at the same height
        across = keypoints[K[f"{side}_index_knuckle"]] - keypoints[K[f"{side}_pinky_knuckle"]]
        assert float(across[2]) > 0.9 * float(across.norm())
    assert float(keypoints[K["nose"], 2]) > float(joints[J["head"], 2]) + 0.05
    assert float(v.mean(0).norm()) < 1e-3


def test_layout(model):
    with np.load(BODY_FILE, allow_pickle=False) as file:
        assert tuple(file["kintree_table"][0]) == SMPL_PARENTS
    assert (model.weights >= 0).all()
    assert torch.allclose(model.weights.sum(1), torch.ones(len(model.weights)), atol=1e-5)
    assert torch.allclose(model.J_regressor.sum(1), torch.ones(24), atol=1e-5)
    assert torch.allclose(model.keypoint_regressor.sum(1), torch.ones(25), atol=1e-5)
    assert int(model.faces.min()) == 0
    assert int(model.faces.max()) == len(model.v_template) - 1
    v, f = model.v_template[model.faces], model.faces
    volume = torch.linalg.det(v).sum() / 6
    assert 0.04 < float(volume) < 0.12  # m3, and positive: faces look outwards
    edges = torch.cat([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])
    assert len(torch.unique(edges, dim=0)) == len(edges)  # each directed edge once: consistently oriented, manifold


def test_left_and_right_mirror(model):
    betas, _, _ = random_pose(3, 4)
    _, keypoints = model.rest(betas)
    mirrored = keypoints[:, list(KEYPOINT_MIRROR)] * torch.tensor([-1.0, 1, 1])
    assert torch.allclose(keypoints, mirrored, atol=1e-4)


def test_shapes_are_people(model):
    """Betas are standard normal: heights of a crowd, taller with the first component, and no one folded in."""
    betas = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    heights = model.height_m(betas)
    assert 1.65 < float(heights.mean()) < 1.75
    assert 0.07 < float(heights.std()) < 0.14
    along = [float(model.height_m(x * torch.eye(10)[0])) for x in (-2.0, 0.0, 2.0)]
    assert along[0] < along[1] - 0.1 < along[2] - 0.2
    joints, _ = model.rest(betas)
    thigh = (joints[:, J["left_hip"]] - joints[:, J["left_knee"]]).norm(dim=-1)
    assert torch.corrcoef(torch.stack([thigh, heights]))[0, 1] > 0.8


def test_keypoints_lie_at_their_bones(model):
    joints, keypoints = model.rest(ZERO)
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        for side in ("left", "right"):
            assert (keypoints[K[f"{side}_{name}"]] - joints[J[f"{side}_{name}"]]).norm() < 0.03
    for k, bone in enumerate(KEYPOINT_BONES):
        assert (keypoints[k] - joints[bone]).norm() < 0.2
    for name in ("nose", "left_eye", "left_ear", "left_heel", "left_big_toe"):  # on the skin
        distance = (model.v_template - keypoints[K[name]]).norm(dim=1).min()
        assert distance < 0.012
    sole = model.v_template[:, 1].min()
    assert keypoints[K["left_heel"], 1] - sole < 0.03
    assert keypoints[K["left_big_toe"], 1] - sole < 0.03


def test_keypoints_follow_the_skin(model):
    """The rigid keypoints stay with what the skinned mesh carries there."""
    betas, poses, trans = random_pose(1, 6)
    _, _, keypoints = model.fk(betas, poses, trans)
    v = model.vertices(betas, poses, trans)
    for name in ("nose", "left_eye", "right_ear", "left_heel", "right_big_toe"):
        on_skin = model.keypoint_regressor[K[name]] @ v
        assert (keypoints[:, K[name]] - on_skin).norm(dim=-1).max() < 0.02


def test_fk_transforms_place_joints(model):
    betas, poses, trans = random_pose(2, 3, 5)
    T, joints, _ = model.fk(betas, poses, trans)
    rest, _ = model.rest(betas)
    placed = (T[..., :3, :3] @ rest[..., None])[..., 0] + T[..., :3, 3]
    assert T.shape == (3, 5, 24, 4, 4)
    assert torch.allclose(placed, joints, atol=1e-5)
    assert torch.allclose(joints[..., 0, :], rest[..., 0, :] + trans, atol=1e-6)  # the root turns about the rest pelvis


def test_batch_shapes_broadcast(model):
    betas, _, _ = random_pose(4)
    _, poses, trans = random_pose(5, 3)
    v = model.vertices(betas, poses, trans)
    one = model.vertices(betas, poses[1], trans[1])
    assert v.shape == (3, len(model.v_template), 3)
    assert torch.allclose(v[1], one, atol=1e-5)


def test_poses_move_the_limb_they_name(model):
    """A left knee flexed by +90 degrees about x brings the left ankle backwards and leaves the right leg alone."""
    poses = torch.zeros(24, 3)
    poses[J["left_knee"], 0] = np.pi / 2
    _, before, _ = model.fk(ZERO, torch.zeros(24, 3), torch.zeros(3))
    _, after, _ = model.fk(ZERO, poses, torch.zeros(3))
    assert float(after[J["left_ankle"], 2] - before[J["left_ankle"], 2]) < -0.3
    assert torch.equal(after[J["right_ankle"]], before[J["right_ankle"]])


def test_a_pose_keeps_its_volume(model):
    """Skinning must not collapse at hanging arms: volume as in the rest pose within 3 %."""
    poses = torch.zeros(24, 3)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        poses[J[f"{side}_shoulder"], 2] = sign * 1.2
        poses[J[f"{side}_collar"], 2] = sign * 0.15

    def volume(v):
        return float(torch.linalg.det(v[model.faces]).sum() / 6)

    rest = volume(model.shaped(ZERO))
    assert abs(volume(model.vertices(ZERO, poses, torch.zeros(3))) / rest - 1) < 0.03


@pytest.mark.parametrize("size", [0.0, 1e-9, 0.5, np.pi - 1e-3])
def test_gradcheck(size):
    model = BodyModel.load(dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    betas = torch.randn(10, generator=rng, dtype=torch.float64)
    axis = torch.nn.functional.normalize(torch.randn(24, 3, generator=rng, dtype=torch.float64), dim=-1)
    inputs = (betas, size * axis, torch.randn(3, generator=rng, dtype=torch.float64))
    inputs = [x.clone().requires_grad_() for x in inputs]
    few = torch.arange(0, len(model.v_template), 1500)
    assert torch.autograd.gradcheck(model.fk, inputs)
    assert torch.autograd.gradcheck(lambda *x: model.vertices(*x)[few], inputs, fast_mode=True)


def chumpy_like():
    """A class that pickles under the name chumpy.ch.Ch, with the state a real one leaves."""
    module = types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.__dict__.update(x=x, _dirty_vars={"x"}, _itr=None, _make_dense=False, _depends_on_deps={})

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch
    return module


def write_pickle(path, arrays, monkeypatch):
    module = chumpy_like()
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    raw = dict(arrays, shapedirs=module.Ch(arrays["shapedirs"]))
    raw["J_regressor"] = scipy.sparse.csc_matrix(arrays["J_regressor"])
    with open(path, "wb") as file:
        pickle.dump(raw, file, protocol=2)


@pytest.mark.parametrize("ending", ["pkl", "npz"])
def test_equal_to_smplx_on_the_same_file(arrays, ending, tmp_path, monkeypatch):
    smplx = pytest.importorskip("smplx")
    if ending == "pkl":
        write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", arrays, monkeypatch)
    else:
        np.savez(tmp_path / "SMPL_NEUTRAL.npz", **arrays)
    ours = BodyModel.load(tmp_path)
    assert ours.name == "smpl"
    batch = 4
    theirs = smplx.SMPL("", data_struct=smplx.utils.Struct(**arrays), batch_size=batch, num_betas=10)
    betas, poses, trans = random_pose(7, batch)
    with torch.no_grad():
        wanted = theirs(betas=betas, global_orient=poses[:, 0], body_pose=poses[:, 1:].flatten(1), transl=trans)
    _, joints, _ = ours.fk(betas, poses, trans)
    assert torch.allclose(ours.vertices(betas, poses, trans), wanted.vertices, atol=1e-5)
    assert torch.allclose(joints, wanted.joints[:, :24], atol=1e-5)


def test_smpl_keypoints_need_no_table_of_ours(arrays, tmp_path):
    """With SMPL's 6890 vertices the keypoints come from SMPL's own vertices and joints."""
    rng = np.random.default_rng(0)
    keep = {key: arrays[key][:6890] for key in ("v_template", "shapedirs", "weights", "posedirs")}
    regressor = rng.random((24, 6890))
    regressor /= regressor.sum(1, keepdims=True)
    np.savez(
        tmp_path / "SMPL_NEUTRAL.npz", **keep, J_regressor=regressor, f=np.arange(6).reshape(2, 3),
        kintree_table=arrays["kintree_table"],
    )  # fmt: skip
    model = BodyModel.load(tmp_path)
    joints, keypoints = model.rest(ZERO)
    assert torch.allclose(keypoints[K["left_knee"]], joints[J["left_knee"]], atol=1e-5)
    assert torch.allclose(keypoints[K["nose"]], model.v_template[332], atol=1e-6)
    tip = model.v_template[2319]
    assert torch.allclose(keypoints[K["left_index_knuckle"]], 0.5 * (joints[J["left_wrist"]] + tip), atol=1e-5)


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickle_is_refused(arrays, tmp_path, protocol):
    marker = str(tmp_path / "ran")
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps({**arrays, "extra": Hostile(marker)}, protocol=protocol))
    with pytest.raises(ShotError, match="does not belong"):
        BodyModel.load(tmp_path)
    assert not os.path.exists(marker)
    pickle.loads(path.read_bytes())  # the file would have worked on a plain reader
    assert os.path.exists(marker)


def test_what_is_not_smpl_is_refused_in_words(arrays, tmp_path):
    with pytest.raises(ShotError, match="There is no SMPL_NEUTRAL"):
        BodyModel.load(tmp_path)
    (tmp_path / "SMPL_NEUTRAL.pkl").write_bytes(b"\x80\x02not a pickle")
    with pytest.raises(ShotError, match="not an SMPL body"):
        BodyModel.load(tmp_path)
    np.savez(tmp_path / "SMPL_NEUTRAL.npz", **{**arrays, "weights": arrays["weights"][:, :20]})
    with pytest.raises(ShotError, match="weights"):
        BodyModel.load(tmp_path)
    np.savez(tmp_path / "SMPL_NEUTRAL.npz", **{**arrays, "v_template": np.array([{}], object)})
    with pytest.raises(ShotError, match="not an SMPL body"):
        BodyModel.load(tmp_path)
