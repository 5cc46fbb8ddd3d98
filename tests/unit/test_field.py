"""f_D: quadrature against its closed form, gradients against finite differences, pictures against the rasterised body."""

import numpy as np
import pytest
import torch

from benchmarks.baselines.clothes import fit_residual
from benchmarks.baselines.dnerf import DynamicNerf, camera_around, train
from benchmarks.field import fidelity, inflated, posed_vertices, runners
from solver.body.model import BodyModel
from solver.film.field import BodyField
from solver.film.render import Samples, composite, mask_of, pixel_grid, rays_from_pixels, render, render_image
from solver.raster import instance_mask

FRAMES = 6


class Fog:
    """Constant density between two planes z = near and z = far, of two colours in turn."""

    def __init__(self, sigma, near, far):
        self.sigma, self.near, self.far = sigma, near, far

    def place(self, rays_o, rays_d, t_index, n_samples):
        edges = torch.linspace(self.near, self.far, n_samples + 1, dtype=rays_o.dtype)
        s = ((edges[1:] + edges[:-1]) / 2).repeat(len(rays_o))
        width = (edges[1:] - edges[:-1]).repeat(len(rays_o))
        ray = torch.arange(len(rays_o)).repeat_interleave(n_samples)
        return Samples(ray, s, width, torch.zeros_like(ray))

    def radiance(self, samples, points, t_index):
        return self.sigma.expand(len(points)), torch.ones(len(points), 1, dtype=points.dtype)


@pytest.fixture(scope="module")
def body():
    return BodyModel.load()


@pytest.fixture(scope="module")
def shot():
    return runners(2, FRAMES, speed=1.0, seed=4)


@pytest.fixture(scope="module")
def field(body, shot):
    return BodyField.from_people(body, *shot)


@pytest.fixture(scope="module")
def vertices(body, shot):
    return posed_vertices(body, *shot)


def along_z(n, dtype=torch.float64):
    o = torch.zeros(n, 3, dtype=dtype)
    return o, torch.tensor([[0.0, 0, 1]], dtype=dtype).expand(n, 3), torch.zeros(n, dtype=torch.int64)


@pytest.mark.parametrize("sigma", [0.01, 0.7, 4.0])
def test_constant_density_has_its_closed_form(sigma):
    sigma = torch.tensor(sigma, dtype=torch.float64, requires_grad=True)
    near, far = 1.5, 3.5
    out = render(Fog(sigma, near, far), *along_z(3), n_samples=512)
    closed = torch.exp(-sigma * (far - near))
    torch.testing.assert_close(out.transmittance, closed.expand(3), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(out.opacity[:, 0], 1 - closed.expand(3), rtol=1e-6, atol=1e-7)
    # Mean free path in the slab: near + 1/sigma - L T / (1 - T).
    mean = near + 1 / sigma - (far - near) * closed / (1 - closed)
    torch.testing.assert_close(out.depth, mean.expand(3), rtol=1e-4, atol=1e-4)
    (slope,) = torch.autograd.grad(out.transmittance[0], sigma)
    torch.testing.assert_close(slope, -(far - near) * closed.detach(), rtol=1e-9, atol=1e-12)


def test_opacity_and_transmittance_sum_to_one(field, vertices):
    o, d, frame, _ = rays_at_people(vertices, 300)
    out = render(field, o, d, frame)
    torch.testing.assert_close(out.opacity.sum(-1) + out.transmittance, torch.ones(len(o)), rtol=0, atol=1e-5)


def rays_at_people(vertices, n, spread=0.06, seed=0, dtype=torch.float32):
    """Rays of mixed frames from one camera (T, K), pointed near random skin points."""
    rng = np.random.default_rng(seed)
    middle = vertices.reshape(-1, 3).mean(0)
    T, K = (torch.tensor(x, dtype=dtype) for x in camera_around(middle, 1.4, 160, 90, rng))
    frame = torch.tensor(rng.integers(len(vertices), size=n))
    at = vertices[frame.numpy(), rng.integers(vertices.shape[1], size=n), rng.integers(vertices.shape[2], size=n)]
    cam = (torch.tensor(at + rng.normal(0, spread, at.shape), dtype=dtype) - T[:3, 3]) @ T[:3, :3]
    pixels = (cam @ K.T)[:, :2] / cam[:, 2:]
    o, d = rays_from_pixels(pixels, T, K)
    return o, d, frame, (pixels, T, K)


def test_rays_that_meet_nobody_are_background_exactly(field):
    o = torch.tensor([[0.0, -9, 1], [0.0, -9, 1], [0.0, -9, 60]], requires_grad=True)
    d = torch.nn.functional.normalize(torch.tensor([[0.0, -1, 0], [1, 0.1, 0], [0, 1, 0]]), dim=-1)
    out = render(field, o, d, torch.tensor([0, 3, 5]))
    assert torch.all(out.opacity == 0) and torch.all(out.depth == 0) and torch.all(out.transmittance == 1)
    assert torch.all(composite(out, torch.rand(2, 3)) == 1)


def test_one_call_of_mixed_frames_equals_calls_by_frame(field, vertices):
    o, d, frame, _ = rays_at_people(vertices, 400)
    together = render(field, o, d, frame).opacity
    for k in range(FRAMES):
        mine = frame == k
        torch.testing.assert_close(
            render(field, o[mine], d[mine], frame[mine]).opacity, together[mine], atol=1e-5, rtol=0
        )


def half_covered(field, vertices, n=12):
    """Rays whose pixel a person covers in part: the ones that carry gradient."""
    o, d, frame, (pixels, T, K) = rays_at_people(vertices, 3000, dtype=torch.float64)
    cover = render(field, o, d, frame).opacity.sum(-1)
    pick = torch.nonzero((cover > 0.1) & (cover < 0.9))[:n, 0]
    assert len(pick) == n
    return pixels[pick], frame[pick], T, K


def test_gradient_to_camera_twist_and_focal_equals_finite_differences(field, vertices):
    field = field.to(torch.float64)
    pixels, frame, T, K = half_covered(field, vertices)
    samples = field.place(*rays_from_pixels(pixels, T, K), frame)

    def opacity(twist, zoom):
        w, v = twist[:3], twist[3:]
        zero = torch.zeros((), dtype=torch.float64)
        S = torch.stack((
            torch.stack((zero, -w[2], w[1], v[0])), torch.stack((w[2], zero, -w[0], v[1])),
            torch.stack((-w[1], w[0], zero, v[2])), torch.zeros(4, dtype=torch.float64),
        ))  # fmt: skip
        scale = torch.stack((zoom, zoom, torch.ones_like(zoom)))
        o, d = rays_from_pixels(pixels, T @ torch.matrix_exp(S), scale[:, None] * K * torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]])
                                + K * torch.tensor([[0, 0, 1], [0, 0, 1], [0, 0, 0]]))  # fmt: skip
        return render(field, o, d, frame, samples=samples).opacity

    at = (
        torch.zeros(6, dtype=torch.float64, requires_grad=True),
        torch.ones((), dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradcheck(opacity, at, eps=1e-7, atol=1e-4, rtol=1e-4)
    (slope,) = torch.autograd.grad(opacity(*at).sum(), at[0])
    assert slope.abs().max() > 1  # not a comparison of zeros


def test_gradient_to_bone_transforms_equals_finite_differences(field, vertices):
    field = field.to(torch.float64)
    pixels, frame, T, K = half_covered(field, vertices, 6)
    o, d = rays_from_pixels(pixels, T, K)
    samples = field.place(o, d, frame)
    rest = field.T_world_from_rest.clone().reshape(FRAMES, 2, 24, 3, 4)

    def opacity(shift):
        moved = torch.cat((rest[..., :3], rest[..., 3:] + shift[None, :, :, :, None]), -1)
        field.set_bones(moved)
        return render(field, o, d, frame, samples=samples).opacity

    shift = torch.zeros(2, 24, 3, dtype=torch.float64, requires_grad=True)
    out = opacity(shift)
    (slope,) = torch.autograd.grad(out.sum(), shift)
    assert slope.abs().max() > 1
    direction = torch.randn(shift.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    eps = 1e-7
    with torch.no_grad():
        change = (opacity(shift + eps * direction).sum() - opacity(shift - eps * direction).sum()) / (2 * eps)
    torch.testing.assert_close((slope * direction).sum(), change, rtol=1e-4, atol=1e-4)


def test_gradient_holds_when_samples_are_placed_anew(field, vertices):
    """Sample places follow the camera and are constants of the gradient: ray by ray, the slope must still be that of the picture."""
    field = field.to(torch.float64)
    o, d, frame, _ = rays_at_people(vertices, 1500, dtype=torch.float64)
    side = torch.zeros(1500, 3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(render(field, o + side, d, frame).transmittance.sum(), side)
    step = torch.tensor([0, 0, 5e-4], dtype=torch.float64)
    with torch.no_grad():
        change = [render(field, o + s * step, d, frame).transmittance for s in (1, -1)]
    change = (change[0] - change[1]) / (2 * step[2])
    # Where one body part gives way to another the picture has an edge in depth: leave out the one ray in a hundred there.
    gap = (slope[:, 2] - change).abs()
    usual = gap <= gap.quantile(0.99)
    assert gap[usual].sum() < 0.1 * change[usual].abs().sum()
    assert change[usual].abs().sum() > 100


def test_render_looks_like_the_rasterised_bodies(field, body, vertices):
    mean, worst, _ = fidelity(field, vertices, body.faces.numpy(), views=5)
    assert mean >= 0.97 and worst >= 0.93


def test_depth_lies_on_the_skin(field, vertices):
    o, d, frame, _ = rays_at_people(vertices, 200, spread=0)
    out = render(field, o, d, frame)
    solid = out.transmittance < 0.01
    points = (o + out.depth[:, None] * d)[solid].numpy()
    skin = vertices[frame[solid].numpy()].reshape(len(points), -1, 3)
    gap = np.sqrt(((skin - points[:, None]) ** 2).sum(-1)).min(1)
    assert solid.sum() > 100 and np.median(gap) < 0.01


def test_the_person_in_front_covers_the_one_behind(field, vertices):
    """Along the line through both bodies, each is the one seen from its own side."""
    a, b = (vertices[0, p].mean(0) for p in (0, 1))
    line = (b - a) / np.linalg.norm(b - a)
    for eye, front in ((a - 4 * line, 0), (b + 4 * line, 1)):
        o = torch.tensor(eye, dtype=torch.float32)[None]
        d = torch.tensor(line if front == 0 else -line, dtype=torch.float32)[None]
        out = render(field, o, d, torch.zeros(1, dtype=torch.int64))
        assert out.opacity[0, front] > 0.95
        assert out.depth[0] < 4.4


def test_absent_people_are_not_rendered(body, shot, field, vertices):
    o, d, frame, _ = rays_at_people(vertices, 300)
    hidden = field.to()
    hidden.visible = field.visible.clone()
    hidden.visible[:, 1] = False
    out = render(hidden, o, d, frame)
    assert torch.all(out.opacity[:, 1] == 0) and out.opacity[:, 0].sum() > 0


def test_clothes_are_learnt_from_masks(body, shot, field, vertices):
    dressed, faces = inflated(body, *shot), body.faces.numpy()
    T, K = camera_around(dressed.reshape(-1, 3).mean(0), 1.4, 160, 90, np.random.default_rng(3))
    masks = [instance_mask(list(v), faces, (1, 2), T, K, 160, 90) for v in dressed]
    grown = field.to()
    before = fidelity(grown, dressed, faces, views=4)[0]
    cameras, Ks = np.repeat(T[None], FRAMES, 0), np.repeat(K[None], FRAMES, 0)
    losses = fit_residual(grown, cameras, Ks, lambda k: masks[k], (1, 2), steps=30, rays=500)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    # Judged from cameras that it did not see.
    assert fidelity(grown, dressed, faces, views=4)[0] > before + 0.005


def test_dnerf_learns_and_starts_undeformed(body, vertices):
    low, high = vertices.reshape(-1, 3).min(0) - 0.1, vertices.reshape(-1, 3).max(0) + 0.1
    torch.manual_seed(0)
    model = DynamicNerf(np.stack((low, high)), FRAMES, 2)
    o, d, frame, _ = rays_at_people(vertices, 50)
    model.eval()
    torch.testing.assert_close(
        render(model, o, d, frame).opacity, render(model, o, d, torch.zeros_like(frame)).opacity
    )  # the deformation starts at zero
    T, K = camera_around((low + high) / 2, 1.6, 48, 27, np.random.default_rng(0))
    truth = torch.from_numpy(instance_mask(list(vertices[2]), body.faces.numpy(), (1, 2), T, K, 48, 27)).long()
    T, K = torch.tensor(T, dtype=torch.float32), torch.tensor(K, dtype=torch.float32)

    def error():
        opacity = render_image(model, T, K, 2, 48, 27).opacity
        target = torch.nn.functional.one_hot(truth, 3)[..., 1:]
        return float((opacity - target).square().mean())

    before = error()
    steps, _ = train(model, vertices, body.faces.numpy(), [[1, 0, 0], [0, 0, 1]], seconds=4, size=(48, 27), views=1)
    assert steps > 0 and error() < before


def test_mask_and_pixel_grid_use_the_house_conventions(field):
    pixels = pixel_grid(4, 2)
    assert pixels.shape == (8, 2) and pixels[0].tolist() == [0.5, 0.5] and pixels[-1].tolist() == [3.5, 1.5]
    K = torch.tensor([[100.0, 0, 2], [0, 100, 1], [0, 0, 1]])
    _, d = rays_from_pixels(torch.tensor([[2.0, 1.0]]), torch.eye(4), K)
    torch.testing.assert_close(d, torch.tensor([[0.0, 0, 1]]))
    T = torch.eye(4)
    T[2, 3] = 1000.0
    assert int(mask_of(render_image(field, T, K, 0, 4, 2), [1, 2]).sum()) == 0
